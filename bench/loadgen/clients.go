package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	namespace = "bench"
	typeProto = runtime.ContentTypeProtobuf
	typeJSON  = runtime.ContentTypeJSON
)

// load is what the works share: the clients, and what they saw.
type load struct {
	options
	config *rest.Config
	// By client; those that share a connection are the same.
	clients []*kubernetes.Clientset
	// Answers with an object that were protobuf, and all of them.
	protobufAnswers, answers atomic.Int64
}

// newLoad connects the clients and makes the namespace they work in. No controller is needed: the service account that every
// pod refers to is made here too.
func newLoad(ctx context.Context, o options) (*load, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return nil, err
	}
	// The rate is the server's business, and gzip is not what is measured.
	config.QPS = -1
	config.DisableCompression = true
	config.UserAgent = "loadgen"
	// Said in either case: what client-go prefers by itself changes from version to version.
	config.ContentType, config.AcceptContentTypes = typeJSON, typeJSON
	if o.protobuf {
		config.ContentType, config.AcceptContentTypes = typeProto, typeProto+","+typeJSON
	}
	l := &load{options: o, config: config}
	if l.clients, err = l.connectAll(o.clients); err != nil {
		return nil, err
	}
	return l, l.prepare(ctx)
}

// connectAll makes clients that share the connections.
func (l *load) connectAll(count int) ([]*kubernetes.Clientset, error) {
	clients := make([]*kubernetes.Clientset, count)
	for number := range clients {
		if number >= l.connections {
			clients[number] = clients[number-l.connections]
			continue
		}
		var err error
		if clients[number], err = l.connect(); err != nil {
			return nil, err
		}
	}
	return clients, nil
}

// connect makes a client with a connection of its own: client-go shares one among all clients of the same settings, and a dialer
// is a setting that is never the same.
func (l *load) connect() (*kubernetes.Clientset, error) {
	config := rest.CopyConfig(l.config)
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	config.Dial = dialer.DialContext
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &observer{next, l} })
	return kubernetes.NewForConfig(config)
}

func (l *load) prepare(ctx context.Context) error {
	api := l.clients[0].CoreV1()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := api.Namespaces().Create(ctx, space, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("namespace %s: %w", namespace, err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err := api.ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("service account: %w", err)
	}
	return nil
}

// answerType is the encoding of the answers so far: json, protobuf or mixed.
func (l *load) answerType() string {
	switch protobuf, all := l.protobufAnswers.Load(), l.answers.Load(); protobuf {
	case 0:
		return "json"
	case all:
		return "protobuf"
	default:
		return "mixed"
	}
}

// observer notes the encoding of answers that succeeded.
type observer struct {
	next http.RoundTripper
	load *load
}

func (o *observer) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(request)
	if err == nil && response.StatusCode < 300 {
		o.load.answers.Add(1)
		if strings.HasPrefix(response.Header.Get("Content-Type"), typeProto) {
			o.load.protobufAnswers.Add(1)
		}
	}
	return response, err
}
