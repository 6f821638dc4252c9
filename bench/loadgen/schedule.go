package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// bindLimit is how long the scheduler may do nothing.
const bindLimit = time.Minute

// createNodes makes nodes that are ready and have room, of the size scheduler_perf uses.
func createNodes(ctx context.Context, l *load) (*result, error) {
	room := corev1.ResourceList{
		corev1.ResourcePods:   resource.MustParse("110"),
		corev1.ResourceCPU:    resource.MustParse("4"),
		corev1.ResourceMemory: resource.MustParse("32Gi"),
	}
	return l.parallel(ctx, l.nodes, func(ctx context.Context, client, number int) error {
		name := l.nodeName(number)
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
				corev1.LabelHostname:     name,
				corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", number%3),
			}},
			Status: corev1.NodeStatus{
				Capacity: room, Allocatable: room,
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			},
		}
		nodes := l.clients[client].CoreV1().Nodes()
		made, err := nodes.Create(ctx, node, metav1.CreateOptions{})
		if err != nil || len(made.Spec.Taints) == 0 {
			return err
		}
		// Admission gives a new node a taint that only a controller takes away again, and there is none.
		made.Spec.Taints = nil
		_, err = nodes.Update(ctx, made, metav1.UpdateOptions{})
		return err
	})
}

// schedulePods creates pods without a node as fast as the clients can, until the scheduler has bound them all. The times are those
// from a pod's creation until a watcher sees it bound.
func schedulePods(ctx context.Context, l *load) (*result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watcher, err := l.clients[0].CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	defer watcher.Stop()
	bound := make(chan boundPods, 1)
	go func() { bound <- l.awaitBound(watcher) }()
	created := make([]time.Time, l.objects)
	since := time.Now()
	if _, err := l.parallel(ctx, l.objects, func(ctx context.Context, client, number int) error {
		pod := l.pod(number)
		pod.Spec.NodeName = ""
		created[number] = time.Now()
		_, err := l.clients[client].CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
		return err
	}); err != nil {
		return nil, err
	}
	all := <-bound
	if all.err != nil {
		return nil, all.err
	}
	times := make([]time.Duration, 0, l.objects)
	for number, at := range created {
		times = append(times, all.at[podName(number)].Sub(at))
	}
	return summarize(times, time.Since(since)), nil
}

// boundPods says when which pod was seen with a node.
type boundPods struct {
	at  map[string]time.Time
	err error
}

func (l *load) awaitBound(watcher watch.Interface) boundPods {
	at := make(map[string]time.Time, l.objects)
	idle := time.NewTimer(bindLimit)
	defer idle.Stop()
	for len(at) < l.objects {
		select {
		case event, open := <-watcher.ResultChan():
			if !open {
				return boundPods{err: fmt.Errorf("the watch ended with %d of %d pods bound", len(at), l.objects)}
			}
			pod, ok := event.Object.(*corev1.Pod)
			if !ok || pod.Spec.NodeName == "" {
				continue
			}
			if _, known := at[pod.Name]; !known {
				at[pod.Name] = time.Now()
				idle.Reset(bindLimit)
			}
		case <-idle.C:
			return boundPods{err: fmt.Errorf("no pod was bound for %s; %d of %d are", bindLimit, len(at), l.objects)}
		}
	}
	return boundPods{at: at}
}
