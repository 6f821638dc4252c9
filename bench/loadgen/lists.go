package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"

	"google.golang.org/protobuf/encoding/protowire"
)

// How often each kind of list is asked for, and how many pods a page has.
const (
	lists      = 48
	pages      = 800
	labelLists = 1000
	nodeLists  = 4000
	pageSize   = 500
)

// Lists are read to their end and not decoded: decoding ten thousand pods takes the client longer than it takes the server to
// send them, on the same processors.

// openList asks for pods; the caller closes what it gets.
func openList(ctx context.Context, client *kubernetes.Clientset, options metav1.ListOptions) (io.ReadCloser, error) {
	return client.CoreV1().RESTClient().Get().Namespace(namespace).Resource("pods").
		VersionedParams(&options, scheme.ParameterCodec).Stream(ctx)
}

// listAtOnce reads count lists with all clients at once.
func (l *load) listAtOnce(ctx context.Context, count int, options func(number int) metav1.ListOptions) (*result, error) {
	sizes := make([]int64, count)
	result, err := l.parallel(ctx, count, func(ctx context.Context, client, number int) error {
		body, err := openList(ctx, l.clients[client], options(number))
		if err != nil {
			return err
		}
		defer body.Close()
		sizes[number], err = io.Copy(io.Discard, body)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, size := range sizes {
		result.Bytes += size
	}
	return result, nil
}

func listAll(ctx context.Context, l *load) (*result, error) {
	return l.listAtOnce(ctx, lists, func(int) metav1.ListOptions { return metav1.ListOptions{} })
}

func listByLabel(ctx context.Context, l *load) (*result, error) {
	return l.listAtOnce(ctx, labelLists, func(number int) metav1.ListOptions {
		return metav1.ListOptions{LabelSelector: "group=" + groupName(number)}
	})
}

// listByNode asks as kubelets do when they start: what the server's cache has is new enough.
func listByNode(ctx context.Context, l *load) (*result, error) {
	return l.listAtOnce(ctx, nodeLists, func(number int) metav1.ListOptions {
		return metav1.ListOptions{FieldSelector: "spec.nodeName=" + l.nodeName(number), ResourceVersion: "0"}
	})
}

// listPages lets each client go through all pods page by page, from the first again after the last.
func listPages(ctx context.Context, l *load) (*result, error) {
	tokens := make([]string, len(l.clients))
	return l.parallel(ctx, pages, func(ctx context.Context, client, _ int) error {
		body, err := openList(ctx, l.clients[client], metav1.ListOptions{Limit: pageSize, Continue: tokens[client]})
		if err != nil {
			return err
		}
		defer body.Close()
		page, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		tokens[client], err = l.nextPage(page)
		return err
	})
}

// nextPage is the token of the page after this one, from the head of the list.
func (l *load) nextPage(page []byte) (string, error) {
	var head metav1.ListMeta
	var err error
	if l.protobuf {
		head, err = headOfProtobuf(page)
	} else {
		head, err = headOfJSON(page)
	}
	if err != nil {
		return "", fmt.Errorf("a page's metadata: %w", err)
	}
	return head.Continue, nil
}

// headOfJSON reads as far as the metadata.
func headOfJSON(list []byte) (head metav1.ListMeta, err error) {
	decoder := json.NewDecoder(bytes.NewReader(list))
	if _, err := decoder.Token(); err != nil {
		return head, err
	}
	for {
		key, err := decoder.Token()
		if err != nil {
			return head, err
		}
		if key == "metadata" {
			return head, decoder.Decode(&head)
		}
		var other json.RawMessage
		if err := decoder.Decode(&other); err != nil {
			return head, err
		}
	}
}

// headOfProtobuf reads the list's first field, its metadata.
func headOfProtobuf(list []byte) (head metav1.ListMeta, err error) {
	envelope, found := bytes.CutPrefix(list, []byte("k8s\x00"))
	if !found {
		return head, fmt.Errorf("the answer is not protobuf")
	}
	var message runtime.Unknown
	if err := message.Unmarshal(envelope); err != nil {
		return head, err
	}
	number, kind, size := protowire.ConsumeTag(message.Raw)
	if number != 1 || kind != protowire.BytesType {
		return head, fmt.Errorf("the first field is %d of type %d", number, kind)
	}
	metadata, size := protowire.ConsumeBytes(message.Raw[size:])
	if size < 0 {
		return head, protowire.ParseError(size)
	}
	return head, head.Unmarshal(metadata)
}
