package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// How many updates the watchers are shown.
	updates = 2000
	// What stands before the number of an update in the label that says which it is, and how many digits that has.
	updateMark   = "update-"
	updateDigits = 6
	// How long one update may take to reach everybody.
	deliveryLimit = 30 * time.Second
)

// watchUpdates lets all clients change a pod each, again and again, while all watchers look at all pods. A client's next update comes
// when each watcher has seen its last. An operation is one update seen by all; the times are those from sending it until one watcher
// has it.
func watchUpdates(ctx context.Context, l *load) (*result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// From now on: what happened before would be shown to every watcher first.
	now, err := l.clients[0].CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, err
	}
	clients, err := l.connectAll(l.watchers)
	if err != nil {
		return nil, err
	}
	// When each watcher saw an update, by its number.
	seen := make([]chan time.Time, updates)
	for number := range seen {
		seen[number] = make(chan time.Time, l.watchers)
	}
	for _, client := range clients {
		stream, err := openList(ctx, client, metav1.ListOptions{Watch: true, ResourceVersion: now.ResourceVersion})
		if err != nil {
			return nil, err
		}
		defer stream.Close()
		go look(stream, seen)
	}
	times := make([][]time.Duration, updates)
	whole, err := l.parallel(ctx, updates, func(ctx context.Context, client, number int) error {
		sent := time.Now()
		patch := fmt.Appendf(nil, `{"metadata":{"labels":{"update":"%s%0*d"}}}`, updateMark, updateDigits, number)
		_, err := l.clients[client].CoreV1().Pods(namespace).Patch(
			ctx, podName(client%l.objects), types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			return err
		}
		limit := time.NewTimer(deliveryLimit)
		defer limit.Stop()
		for have := 0; have < l.watchers; have++ {
			select {
			case at := <-seen[number]:
				times[number] = append(times[number], at.Sub(sent))
			case <-limit.C:
				return fmt.Errorf("%d of %d watchers saw update %d within %s", have, l.watchers, number, deliveryLimit)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	result := summarize(slices.Concat(times...), 0)
	result.Operations, result.Seconds = updates, whole.Seconds
	return result, nil
}

// look notes which updates a watcher sees, until its stream ends. It does not decode the events, which would take the client more
// time than it takes the server to send them: the mark stands in them as it is, in JSON and in protobuf.
func look(stream io.Reader, seen []chan time.Time) {
	reader := bufio.NewReaderSize(stream, 64<<10)
	digits := make([]byte, updateDigits)
	for {
		// The mark ends with the byte that is looked for.
		part, err := reader.ReadSlice(updateMark[len(updateMark)-1])
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		if !bytes.HasSuffix(part, []byte(updateMark)) {
			continue
		}
		if _, err := io.ReadFull(reader, digits); err != nil {
			return
		}
		if number, err := strconv.Atoi(string(digits)); err == nil && number < len(seen) {
			select {
			case seen[number] <- time.Now():
			default: // seen before: the pod was written once more
			}
		}
	}
}
