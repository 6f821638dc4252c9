package main

import (
	"math/rand"
	"slices"
)

type object = map[string]any

// kind is a resource and what random parts of its objects look like.
type kind struct {
	resource, kind string
	// versions are its group-versions; entries of one are converted for the other.
	versions []string
	cluster  bool
	// definition makes a custom resource of it, which has no strategic merge patch.
	definition object
	scale      bool
	// part is some of an object, fit to be applied or patched in.
	part func(*rand.Rand) object
	// required is what a whole object cannot do without.
	required func() object
	// status is some of a status; nil where there is none.
	status func(*rand.Rand) object
}

var builtInKinds = []*kind{
	{resource: "configmaps", kind: "ConfigMap", versions: []string{"v1"}, part: with(some{"data": texts("k1", "k2", "k3"), "binaryData": one("YQ==")})},
	{resource: "secrets", kind: "Secret", versions: []string{"v1"}, part: with(some{"stringData": texts("k1", "k2"), "data": choice(object{"k1": "YQ=="}, object{"k3": "Yg=="}, object{})})},
	{resource: "serviceaccounts", kind: "ServiceAccount", versions: []string{"v1"}, part: with(some{
		"secrets":          list("name", "s1", "s2", some{}),
		"imagePullSecrets": list("name", "p1", "p2", some{}), "automountServiceAccountToken": choice(true, false)})},
	{resource: "services", kind: "Service", versions: []string{"v1"}, part: with(some{"spec": fields(some{
		"selector": texts("app", "tier"), "sessionAffinity": choice("None", "ClientIP"), "externalIPs": choice([]any{"1.2.3.4"}, []any{"1.2.3.4", "1.2.3.5"}, []any{}),
		"type":  choice("ClusterIP", "NodePort"),
		"ports": choice(ports("port", true, 80), ports("port", true, 80, 81), ports("port", true, 81, 80), ports("port", true, 81)), "publishNotReadyAddresses": choice(true, false)})}),
		required: func() object { return object{"spec": object{"ports": ports("port", true, 80)}} },
		status: func(r *rand.Rand) object {
			return object{"loadBalancer": object{"ingress": []any{object{"ip": pick(r, "1.1.1.1", "2.2.2.2")}}}, "conditions": conditions(r)}
		}},
	{resource: "deployments", kind: "Deployment", versions: []string{"apps/v1"}, scale: true, part: with(some{"spec": fields(some{
		"replicas": choice(0, 1, 2, 3, nil), "minReadySeconds": choice(0, 5), "paused": choice(true, false), "revisionHistoryLimit": choice(1, 10),
		"strategy": choice(object{"type": "Recreate", "rollingUpdate": nil}, object{"type": "RollingUpdate"}, object{"rollingUpdate": object{"maxSurge": 1}}, object{"rollingUpdate": object{"maxSurge": "50%"}}),
		"template": fields(some{"metadata": fields(some{"labels": choice(object{"app": "x"}, object{"app": "x", "v": "1"}, object{"app": "x", "w": "2"}), "annotations": texts("t1", "t2")}), "spec": podSpec})})}),
		required: func() object {
			return object{"spec": object{"selector": object{"matchLabels": object{"app": "x"}}, "template": object{"metadata": object{"labels": object{"app": "x"}}, "spec": object{"containers": []any{object{"name": "a", "image": "i"}}}}}}
		},
		status: func(r *rand.Rand) object {
			return object{"replicas": r.Intn(3), "observedGeneration": r.Intn(3), "conditions": conditions(r)}
		}},
	{resource: "statefulsets", kind: "StatefulSet", versions: []string{"apps/v1"}, scale: true, part: with(some{"spec": fields(some{
		"replicas": choice(0, 1, 2), "minReadySeconds": choice(0, 5),
		"template": fields(some{"metadata": fields(some{"labels": choice(object{"app": "x"}, object{"app": "x", "v": "1"})}), "spec": podSpec})})}),
		required: func() object {
			return object{"spec": object{"serviceName": "s", "selector": object{"matchLabels": object{"app": "x"}},
				"volumeClaimTemplates": []any{object{"metadata": object{"name": "d"}, "spec": object{"accessModes": []any{"ReadWriteOnce"}, "resources": object{"requests": object{"storage": "1Gi"}}}}},
				"template":             object{"metadata": object{"labels": object{"app": "x"}}, "spec": object{"containers": []any{object{"name": "a", "image": "i"}}}}}}
		},
		status: func(r *rand.Rand) object { return object{"replicas": r.Intn(3), "conditions": conditions(r)} }},
	{resource: "pods", kind: "Pod", versions: []string{"v1"}, part: with(some{"spec": fields(some{
		"containers":  choice([]any{object{"name": "a", "image": "i"}}, []any{object{"name": "a", "image": "j"}}, []any{object{"name": "a"}}),
		"tolerations": choice([]any{object{"key": "t", "operator": "Exists"}}), "activeDeadlineSeconds": choice(100, 50)})}),
		required: func() object {
			return object{"spec": object{"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false, "containers": []any{object{"name": "a", "image": "i", "ports": ports("containerPort", false, 80, 81), "env": []any{object{"name": "E", "value": "v"}}}}}}
		},
		status: func(r *rand.Rand) object {
			return object{"phase": pick(r, "Pending", "Running"), "conditions": conditions(r), "podIPs": []any{object{"ip": pick(r, "10.0.0.1", "10.0.0.2")}}, "podIP": nil}
		}},
	{resource: "nodes", kind: "Node", versions: []string{"v1"}, cluster: true, part: with(some{"spec": fields(some{
		"unschedulable": choice(true, false), "taints": choice([]any{object{"key": "a", "effect": "NoSchedule"}}, []any{object{"key": "b", "effect": "NoExecute"}}, []any{})})}),
		status: func(r *rand.Rand) object {
			return object{"capacity": object{"cpu": pick(r, "1", "1000m", "2"), "memory": pick(r, "1Gi", "1024Mi")}, "conditions": conditions(r),
				"addresses": pick[any](r, []any{object{"type": "InternalIP", "address": "1.2.3.4"}}, []any{object{"type": "InternalIP", "address": "1.2.3.4"}, object{"type": "Hostname", "address": "h"}}),
				"images":    []any{object{"names": []any{"i"}, "sizeBytes": 3}}}
		}},
	{resource: "namespaces", kind: "Namespace", versions: []string{"v1"}, cluster: true, part: with(some{})},
	{resource: "roles", kind: "Role", versions: []string{"rbac.authorization.k8s.io/v1"}, part: with(some{"rules": choice(
		[]any{object{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"get"}}}, []any{object{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"get", "list"}}})})},
	{resource: "networkpolicies", kind: "NetworkPolicy", versions: []string{"networking.k8s.io/v1"}, part: with(some{"spec": fields(some{
		"podSelector": choice(object{}, object{"matchLabels": object{"a": "b"}}), "policyTypes": choice([]any{"Ingress"}, []any{"Egress"}, []any{"Ingress", "Egress"}),
		"ingress": choice([]any{object{}}, []any{object{"from": []any{object{"podSelector": object{}}}}})})}),
		required: func() object { return object{"spec": object{"podSelector": object{}}} }},
	{resource: "ingresses", kind: "Ingress", versions: []string{"networking.k8s.io/v1"}, part: with(some{"spec": fields(some{
		"ingressClassName": choice("x", "y"), "tls": choice([]any{object{"hosts": []any{"h"}, "secretName": "s"}}),
		"rules": choice([]any{object{"host": "a.b", "http": object{"paths": []any{object{"path": "/", "pathType": "Prefix", "backend": object{"service": object{"name": "s", "port": object{"number": 80}}}}}}}})})}),
		required: func() object {
			return object{"spec": object{"defaultBackend": object{"service": object{"name": "s", "port": object{"number": 80}}}}}
		},
		status: func(r *rand.Rand) object {
			return object{"loadBalancer": object{"ingress": []any{object{"ip": pick(r, "1.1.1.1", "2.2.2.2")}}}}
		}},
	{resource: "poddisruptionbudgets", kind: "PodDisruptionBudget", versions: []string{"policy/v1"}, part: with(some{"spec": fields(some{
		"minAvailable": choice(1, "50%"), "selector": choice(object{"matchLabels": object{"a": "b"}}, object{"matchLabels": object{"a": "c"}})})}),
		status: func(r *rand.Rand) object {
			return object{"disruptionsAllowed": r.Intn(2), "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": r.Intn(3), "conditions": conditions(r)}
		}},
	{resource: "horizontalpodautoscalers", kind: "HorizontalPodAutoscaler", versions: []string{"autoscaling/v1", "autoscaling/v2"}, part: with(some{"spec": fields(some{
		"minReplicas": choice(1, 2), "maxReplicas": choice(3, 4)})}),
		required: func() object {
			return object{"spec": object{"maxReplicas": 5, "scaleTargetRef": object{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}}
		}},
	{resource: "persistentvolumeclaims", kind: "PersistentVolumeClaim", versions: []string{"v1"}, part: with(some{}),
		required: func() object {
			return object{"spec": object{"accessModes": []any{"ReadWriteOnce"}, "resources": object{"requests": object{"storage": "1024Mi"}}}}
		},
		status: func(r *rand.Rand) object {
			return object{"phase": pick(r, "Pending", "Bound"), "conditions": conditions(r)}
		}},
	{resource: "resourcequotas", kind: "ResourceQuota", versions: []string{"v1"}, part: with(some{"spec": fields(some{
		"hard": choice(object{"configmaps": "10000"}, object{"configmaps": "20k"}, object{"configmaps": 20000, "secrets": "10k"})})})},
	{resource: "leases", kind: "Lease", versions: []string{"coordination.k8s.io/v1"}, part: with(some{"spec": fields(some{
		"holderIdentity": choice("h", "i"), "leaseDurationSeconds": choice(10, 20), "renewTime": choice("2020-01-01T00:00:00.000000Z", "2020-01-01T00:00:01.500000Z")})})},
	{resource: "endpointslices", kind: "EndpointSlice", versions: []string{"discovery.k8s.io/v1"}, part: with(some{
		"endpoints": choice([]any{object{"addresses": []any{"1.2.3.4"}, "conditions": object{"ready": true}}}, []any{object{"addresses": []any{"1.2.3.5"}}}),
		"ports":     choice([]any{object{"name": "p", "port": 80, "protocol": "TCP"}}, []any{object{"name": "q", "port": 81}})}),
		required: func() object { return object{"addressType": "IPv4"} }},
	{resource: "cronjobs", kind: "CronJob", versions: []string{"batch/v1"}, part: with(some{"spec": fields(some{
		"schedule": choice("* * * * *", "0 * * * *"), "suspend": choice(true, false), "concurrencyPolicy": choice("Allow", "Forbid")})}),
		required: func() object {
			return object{"spec": object{"schedule": "* * * * *", "jobTemplate": object{"spec": object{"template": object{"spec": object{"restartPolicy": "Never", "containers": []any{object{"name": "a", "image": "i"}}}}}}}}
		},
		status: func(r *rand.Rand) object {
			return object{"active": []any{object{"name": pick(r, "j1", "j2"), "namespace": namespace}}}
		}},
	{resource: "priorityclasses", kind: "PriorityClass", versions: []string{"scheduling.k8s.io/v1"}, cluster: true, part: with(some{"description": choice("d", "e")}),
		required: func() object { return object{"value": 5} }},
	{resource: "validatingwebhookconfigurations", kind: "ValidatingWebhookConfiguration", versions: []string{"admissionregistration.k8s.io/v1"}, cluster: true, part: with(some{
		"webhooks": choice([]any{webhook("a.b.c", 1)}, []any{webhook("a.b.c", 2), webhook("d.e.f", 1)}, []any{webhook("d.e.f", 2), webhook("a.b.c", 2)})})},
}

// podSpec is a pod's template: lists of every kind in one another.
var podSpec = fields(some{
	"containers": choice(
		[]any{container("a", object{})},
		[]any{container("a", object{"image": "j", "env": []any{object{"name": "E1", "value": "1"}, object{"name": "E2", "value": "2"}}})},
		[]any{container("a", object{"env": []any{object{"name": "E2", "value": "3"}}, "args": []any{"x", "y"}})},
		[]any{container("b", object{"ports": ports("containerPort", false, 80, 81)}), container("a", object{"ports": []any{object{"containerPort": 80}}})},
		[]any{container("a", object{"resources": object{"requests": object{"cpu": "1000m"}, "limits": object{"cpu": 2}}}), container("b", object{})},
		[]any{container("a", object{"volumeMounts": []any{object{"name": "v", "mountPath": "/a"}}, "securityContext": object{"runAsUser": 5, "capabilities": object{"add": []any{"X"}}}})},
		[]any{container("a", object{"env": []any{object{"name": "E1", "value": "1"}, object{"name": "E1", "value": "2"}}})},
		[]any{container("a", object{"livenessProbe": object{"httpGet": object{"path": "/", "port": 80}}})},
	),
	"initContainers":                choice([]any{container("i", object{})}, []any{}),
	"volumes":                       choice([]any{object{"name": "v", "emptyDir": object{}}}, []any{object{"name": "v", "emptyDir": object{}}, object{"name": "w", "configMap": object{"name": "c"}}}),
	"nodeSelector":                  texts("n1", "n2"),
	"tolerations":                   choice([]any{object{"key": "t", "operator": "Exists"}}, []any{object{"key": "u", "operator": "Exists"}}),
	"imagePullSecrets":              list("name", "p1", "p2", some{}),
	"hostAliases":                   choice([]any{object{"ip": "1.2.3.4", "hostnames": []any{"h"}}}, []any{object{"ip": "1.2.3.5", "hostnames": []any{"h", "g"}}}),
	"topologySpreadConstraints":     choice([]any{object{"topologyKey": "z", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}}),
	"terminationGracePeriodSeconds": choice(1, 30),
	"securityContext":               choice(object{}, object{"fsGroup": 1, "supplementalGroups": []any{1, 2}}),
	"affinity":                      choice(object{"nodeAffinity": object{"requiredDuringSchedulingIgnoredDuringExecution": object{"nodeSelectorTerms": []any{object{"matchExpressions": []any{object{"key": "a", "operator": "Exists"}}}}}}}),
})

func container(name string, rest object) object {
	out := object{"name": name, "image": "i"}
	merge(out, rest)
	return out
}

func webhook(name string, timeout int) object {
	return object{"name": name, "clientConfig": object{"url": "https://x.y/z"}, "sideEffects": "None", "admissionReviewVersions": []any{"v1"}, "timeoutSeconds": timeout, "rules": []any{}, "failurePolicy": "Ignore"}
}

func ports(key string, named bool, numbers ...int) []any {
	out := []any{}
	for _, number := range numbers {
		port := object{key: number, "protocol": "TCP"}
		if named || number%2 == 1 {
			port["name"] = string(rune('a' + number - 80))
		}
		out = append(out, port)
	}
	return out
}

func conditions(r *rand.Rand) []any {
	out := []any{}
	for _, name := range []string{"Ready", "Example"} {
		if r.Intn(2) == 0 {
			out = append(out, object{"type": name, "status": pick(r, "True", "False"), "lastTransitionTime": "2020-01-01T00:00:00Z", "reason": "R", "message": ""})
		}
	}
	return out
}

// value makes something random; nil with false is nothing.
type value func(*rand.Rand) any

// some are fields that may be there or not.
type some map[string]value

func (s some) make(r *rand.Rand) object {
	out := object{}
	for _, key := range sorted(s) {
		if r.Intn(2) == 0 {
			out[key] = s[key](r)
		}
	}
	return out
}

// with adds what every object may have.
func with(own some) func(*rand.Rand) object {
	metadata := fields(some{
		"labels":      choice(object{"l1": "a"}, object{"l1": "b", "l2": "a"}, object{"l3": "c"}, object{}, nil),
		"annotations": choice(object{"a1": "a"}, object{"a1": "b"}, object{"a2": "<&>"}, object{"kubectl.kubernetes.io/last-applied-configuration": "{}"}),
		"finalizers":  choice([]any{"x.io/a"}, []any{"x.io/b", "x.io/a"}, []any{}),
		"ownerReferences": choice([]any{object{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "11111111-1111-4111-8111-111111111111"}},
			[]any{object{"apiVersion": "v1", "kind": "ConfigMap", "name": "p", "uid": "11111111-1111-4111-8111-111111111112"}}, []any{}),
	})
	return func(r *rand.Rand) object {
		out := own.make(r)
		out["metadata"] = metadata(r)
		return out
	}
}

// few are at most so many of these fields.
func few(most int, s some) value {
	keys := sorted(s)
	return func(r *rand.Rand) any {
		out := object{}
		for range r.Intn(most + 1) {
			key := pick(r, keys...)
			out[key] = s[key](r)
		}
		return out
	}
}

func fields(s some) value { return func(r *rand.Rand) any { return s.make(r) } }

func one(v any) value { return func(*rand.Rand) any { return object{"b": v} } }

func choice(all ...any) value {
	return func(r *rand.Rand) any { return copied(all[r.Intn(len(all))]) }
}

// texts is a map of some of these keys.
func texts(keys ...string) value {
	return func(r *rand.Rand) any {
		out := object{}
		for _, key := range keys {
			if r.Intn(2) == 0 {
				out[key] = string(rune('a' + r.Intn(3)))
			}
		}
		return out
	}
}

// list is a list of up to two items told apart by a key, in either order.
func list(key, first, second string, rest some) value {
	return func(r *rand.Rand) any {
		names := []string{first, second}
		if r.Intn(2) == 0 {
			names = []string{second, first}
		}
		out := []any{}
		for _, name := range names[:r.Intn(3)] {
			item := rest.make(r)
			item[key] = name
			out = append(out, item)
		}
		return out
	}
}

func pick[T any](r *rand.Rand, all ...T) T { return all[r.Intn(len(all))] }

func sorted(s some) []string {
	keys := make([]string, 0, len(s))
	for key := range s {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
