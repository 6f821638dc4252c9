package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
)

func podName(number int) string { return fmt.Sprintf("pod-%06d", number) }

func (l *load) nodeName(number int) string { return fmt.Sprintf("node-%05d", number%l.nodes) }

// groupName is the value of the label that a hundredth of the pods share.
func groupName(number int) string { return fmt.Sprintf("group-%03d", number%100) }

// pod is a small web server's pod. It names its node, so that no scheduler has to do with it.
func (l *load) pod(number int) *corev1.Pod {
	no := false
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:   podName(number),
			Labels: map[string]string{"app": "web", "group": groupName(number)},
		},
		Spec: corev1.PodSpec{
			NodeName:                     l.nodeName(number),
			AutomountServiceAccountToken: &no,
			Containers: []corev1.Container{{
				Name:  "web",
				Image: "registry.k8s.io/nginx:1.29",
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{
						corev1.ResourceCPU:    resource.MustParse("10m"),
						corev1.ResourceMemory: resource.MustParse("16Mi"),
					},
				},
			}},
		},
	}
	if l.padding > 0 {
		pod.Annotations = map[string]string{"bench/padding": strings.Repeat("x", l.padding)}
	}
	return pod
}

func createPods(ctx context.Context, l *load) (*result, error) {
	return l.parallel(ctx, l.objects, func(ctx context.Context, client, number int) error {
		_, err := l.clients[client].CoreV1().Pods(namespace).Create(ctx, l.pod(number), metav1.CreateOptions{})
		return err
	})
}

func getPods(ctx context.Context, l *load) (*result, error) {
	return l.parallel(ctx, l.objects, func(ctx context.Context, client, number int) error {
		_, err := l.clients[client].CoreV1().Pods(namespace).Get(ctx, podName(number), metav1.GetOptions{})
		return err
	})
}

func mergePatchPods(ctx context.Context, l *load) (*result, error) {
	return l.parallel(ctx, l.objects, func(ctx context.Context, client, number int) error {
		patch := fmt.Appendf(nil, `{"metadata":{"labels":{"round":"%d"}}}`, number)
		_, err := l.clients[client].CoreV1().Pods(namespace).Patch(
			ctx, podName(number), types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
}

// applyPods sets a label by server-side apply. A server that does not know it says so at the first pod.
func applyPods(ctx context.Context, l *load) (*result, error) {
	apply := func(ctx context.Context, client, number int) error {
		change := applycorev1.Pod(podName(number), namespace).WithLabels(map[string]string{"applied": fmt.Sprint(number)})
		_, err := l.clients[client].CoreV1().Pods(namespace).Apply(
			ctx, change, metav1.ApplyOptions{FieldManager: "loadgen-apply", Force: true})
		return err
	}
	if err := apply(ctx, 0, 0); apierrors.IsUnsupportedMediaType(err) || apierrors.IsMethodNotSupported(err) {
		return &result{Unsupported: err.Error()}, nil
	}
	return l.parallel(ctx, l.objects, apply)
}

func deletePods(ctx context.Context, l *load) (*result, error) {
	// Without a kubelet nobody would confirm the end of a pod that is given time.
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	return l.parallel(ctx, l.objects, func(ctx context.Context, client, number int) error {
		return l.clients[client].CoreV1().Pods(namespace).Delete(ctx, podName(number), now)
	})
}
