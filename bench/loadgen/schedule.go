package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
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
// from a pod's creation until an informer sees it bound.
func schedulePods(ctx context.Context, l *load) (*result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	bound := make(chan boundPod, l.objects)
	if err := l.informBound(ctx, bound); err != nil {
		return nil, err
	}
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
	at := make(map[string]time.Time, l.objects)
	for len(at) < l.objects {
		select {
		case pod := <-bound:
			at[pod.name] = pod.at
		case <-time.After(bindLimit):
			return nil, fmt.Errorf("no pod was bound for %s; %d of %d are", bindLimit, len(at), l.objects)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	whole := time.Since(since)
	times := make([]time.Duration, l.objects)
	for number := range times {
		times[number] = at[podName(number)].Sub(created[number])
	}
	return summarize(times, whole), nil
}

// boundPod says when a pod was first seen with a node.
type boundPod struct {
	name string
	at   time.Time
}

// informBound reports each pod once, when an informer sees it with a node.
func (l *load) informBound(ctx context.Context, bound chan<- boundPod) error {
	known := make(map[string]bool, l.objects)
	look := func(object any) {
		pod, ok := object.(*corev1.Pod)
		if !ok || pod.Spec.NodeName == "" || known[pod.Name] {
			return
		}
		known[pod.Name] = true
		bound <- boundPod{pod.Name, time.Now()}
	}
	factory := informers.NewSharedInformerFactoryWithOptions(l.clients[0], 0, informers.WithNamespace(namespace))
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    look,
		UpdateFunc: func(_, object any) { look(object) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return errors.New("the informer of pods has not synced")
	}
	return nil
}
