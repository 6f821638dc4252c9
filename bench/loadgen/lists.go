package main

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// How often each kind of list is asked for, and how many pods a page has.
const (
	lists      = 20
	pages      = 200
	labelLists = 500
	nodeLists  = 1000
	pageSize   = 500
)

// listInTurn reads lists of pods one after another, to their end and without decoding them: decoding ten thousand pods takes the
// client longer than it takes the server to send them.
func (l *load) listInTurn(ctx context.Context, count int, options func(number int) metav1.ListOptions) (*result, error) {
	var bytes int64
	result, err := inTurn(count, func(number int) error {
		options := options(number)
		body, err := l.clients[0].CoreV1().RESTClient().Get().Namespace(namespace).Resource("pods").
			VersionedParams(&options, scheme.ParameterCodec).DoRaw(ctx)
		bytes += int64(len(body))
		return err
	})
	if err != nil {
		return nil, err
	}
	result.Bytes = bytes
	return result, nil
}

func listAll(ctx context.Context, l *load) (*result, error) {
	return l.listInTurn(ctx, lists, func(int) metav1.ListOptions { return metav1.ListOptions{} })
}

func listByLabel(ctx context.Context, l *load) (*result, error) {
	return l.listInTurn(ctx, labelLists, func(number int) metav1.ListOptions {
		return metav1.ListOptions{LabelSelector: "group=" + groupName(number)}
	})
}

// listByNode asks as kubelets do when they start: what the server's cache has is new enough.
func listByNode(ctx context.Context, l *load) (*result, error) {
	return l.listInTurn(ctx, nodeLists, func(number int) metav1.ListOptions {
		return metav1.ListOptions{FieldSelector: "spec.nodeName=" + l.nodeName(number), ResourceVersion: "0"}
	})
}

// listPages goes through all pods page by page, from the first again after the last.
func listPages(ctx context.Context, l *load) (*result, error) {
	token := ""
	return inTurn(pages, func(int) error {
		page, err := l.clients[0].CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: pageSize, Continue: token})
		if err != nil {
			return err
		}
		token = page.Continue
		return nil
	})
}
