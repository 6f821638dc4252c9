package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const (
	// Bytes of each secret's data; a third more in base64.
	secretSize = 750_000
	// How many bytes of their list those have read who then wait.
	readBeforeWaiting = 1 << 20
	// How long they wait when all of them do.
	waiting = 2 * time.Second
)

const (
	listPath = "/api/v1/secrets"
	// As informers ask since v1.34: the objects there are come as the first events. Upstream: KEP-3157.
	watchPath = listPath + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
)

// createSecrets makes large secrets, 1 MB each in a list.
func createSecrets(ctx context.Context, l *load) (*result, error) {
	data := make([]byte, secretSize)
	return l.parallel(ctx, l.objects, func(ctx context.Context, client, number int) error {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("secret-%06d", number)},
			Data:       map[string][]byte{"data": data},
		}
		_, err := l.clients[client].CoreV1().Secrets(namespace).Create(ctx, secret, metav1.CreateOptions{})
		return err
	})
}

// listSecrets lists them with all clients at once, each over a connection of its own and to the end.
func listSecrets(ctx context.Context, l *load) (*result, error) {
	return l.readSecretsAtOnce(ctx, listPath, func(body io.Reader) (int64, error) { return io.Copy(io.Discard, body) })
}

// holdSecrets lists them with all clients at once, who stop reading when they have begun, and go away when all have.
func holdSecrets(ctx context.Context, l *load) (*result, error) {
	return l.holdSecretsAtOnce(ctx, listPath)
}

// holdSecretWatches does the same with watches that begin with all secrets.
func holdSecretWatches(ctx context.Context, l *load) (*result, error) {
	return l.holdSecretsAtOnce(ctx, watchPath)
}

func (l *load) holdSecretsAtOnce(ctx context.Context, path string) (*result, error) {
	var begun sync.WaitGroup
	begun.Add(l.options.clients)
	return l.readSecretsAtOnce(ctx, path, func(body io.Reader) (int64, error) {
		read, err := io.CopyN(io.Discard, body, readBeforeWaiting)
		begun.Done()
		if err != nil {
			return read, err
		}
		begun.Wait()
		time.Sleep(waiting)
		return read, nil
	})
}

func (l *load) readSecretsAtOnce(ctx context.Context, path string, read func(io.Reader) (int64, error)) (*result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	times := make([]time.Duration, l.options.clients)
	sizes := make([]int64, l.options.clients)
	var group sync.WaitGroup
	since := time.Now()
	for client := range times {
		group.Go(func() {
			var err error
			if sizes[client], err = l.readSecretsOnce(ctx, path, read); err != nil {
				cancel(err)
			}
			times[client] = time.Since(since)
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	result := summarize(times, time.Since(since))
	for _, size := range sizes {
		result.Bytes += size
	}
	return result, nil
}

func (l *load) readSecretsOnce(ctx context.Context, path string, read func(io.Reader) (int64, error)) (int64, error) {
	tls, err := rest.TLSConfigFor(l.config)
	if err != nil {
		return 0, err
	}
	// What a client that does not read has in its own buffers is not what is measured.
	transport := &http.Transport{
		TLSClientConfig:   tls,
		ForceAttemptHTTP2: true,
		HTTP2:             &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 20, MaxReceiveBufferPerConnection: 1 << 20},
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.config.Host+path, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Accept", l.config.AcceptContentTypes)
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return read(response.Body)
}
