package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// How many updates the watchers are shown.
	updates = 200
	// The label that says which update an event shows.
	updateLabel = "update"
	// How long one update may take to reach everybody.
	deliveryLimit = 30 * time.Second
)

// watchUpdates changes one pod again and again while all watchers look at all pods. The next update comes when each watcher has
// seen the last. An operation is one update seen by all; the times are those from sending it until one watcher has it.
func watchUpdates(ctx context.Context, l *load) (*result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	pods := l.clients[0].CoreV1().Pods(namespace)
	// From now on: what happened since the pod was last written would be shown to every watcher first.
	now, err := pods.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, err
	}
	seen := make(chan sighting, l.watchers)
	clients, err := l.connectAll(l.watchers)
	if err != nil {
		return nil, err
	}
	for _, client := range clients {
		watcher, err := client.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: now.ResourceVersion})
		if err != nil {
			return nil, err
		}
		defer watcher.Stop()
		go look(ctx, watcher, seen)
	}
	times := make([]time.Duration, 0, updates*l.watchers)
	since := time.Now()
	for number := range updates {
		sent := time.Now()
		patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:"%d"}}}`, updateLabel, number)
		if _, err := pods.Patch(ctx, podName(0), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return nil, err
		}
		for have := 0; have < l.watchers; have++ {
			select {
			case sighting := <-seen:
				if sighting.number != number {
					return nil, fmt.Errorf("a watcher saw update %d after update %d", sighting.number, number-1)
				}
				times = append(times, sighting.at.Sub(sent))
			case <-time.After(deliveryLimit):
				return nil, fmt.Errorf("%d of %d watchers saw update %d within %s", have, l.watchers, number, deliveryLimit)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	result := summarize(times, time.Since(since))
	result.Operations = updates
	return result, nil
}

// sighting is an update seen by a watcher.
type sighting struct {
	number int
	at     time.Time
}

// look passes on which updates a watcher sees, until its stream or the context ends.
func look(ctx context.Context, watcher watch.Interface, seen chan<- sighting) {
	for event := range watcher.ResultChan() {
		at := time.Now()
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			continue
		}
		number, err := strconv.Atoi(pod.Labels[updateLabel])
		if err != nil {
			continue
		}
		select {
		case seen <- sighting{number, at}:
		case <-ctx.Done():
			return
		}
	}
}
