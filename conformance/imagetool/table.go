package main

import (
	"runtime"
	"strings"
)

// image is one row of the table: what the suite calls it and what it is made of.
type image struct {
	name       string // of the archive
	ref        string // the exact name that tests and manifests use
	layers     []layer
	entrypoint []string
	cmd        []string
	user       string
	env        []string
	served     []string // further names that a registry has it under
}

// set is a part of the table that is asked for by its name.
type set struct {
	name   string
	images []image
}

// layer is a part of an image's file system. Images that share one share its bytes.
type layer struct {
	name     string
	programs []string // that conformance/build must have made
	fill     func(*workshop, *tree) error
}

func (i image) programs() []string {
	var all []string
	for _, l := range i.layers {
		all = append(all, l.programs...)
	}
	return all
}

const (
	registryHost = "registry.k8s.io/"
	e2e          = registryHost + "e2e-test-images/"
	cri          = "gcr.io/k8s-staging-cri-tools/"
)

// suite is every image of the 462 conformance tests of v1.37.
var suite = []image{
	{name: "agnhost", ref: e2e + "agnhost:2.66.1", layers: agnhost, entrypoint: []string{"/agnhost"}, cmd: []string{"pause"}},
	{name: "agnhost-prev", ref: e2e + "agnhost:2.55", layers: agnhost, entrypoint: []string{"/agnhost"}, cmd: []string{"pause"}},
	{name: "busybox", ref: e2e + "busybox:1.37.0-2", layers: []layer{busybox}, cmd: []string{"sh"}},
	{name: "pause", ref: registryHost + "pause:3.10.2", layers: []layer{pause}, entrypoint: []string{"/pause"}, user: "65535:65535"},
	// Tests of nginx only want it to stay Running and to answer on port 80.
	{name: "nginx", ref: e2e + "nginx:1.27.0-2", layers: agnhost, entrypoint: []string{"/agnhost"}, cmd: []string{"test-webserver"}},
	{name: "kitten", ref: e2e + "kitten:1.8", layers: append(agnhost, html("kitten")), entrypoint: []string{"/agnhost"}, cmd: []string{"test-webserver"}},
	{name: "nautilus", ref: e2e + "nautilus:1.8", layers: append(agnhost, html("nautilus")), entrypoint: []string{"/agnhost"}, cmd: []string{"test-webserver"}},
	{name: "nonewprivs", ref: e2e + "nonewprivs:1.4", layers: []layer{busybox, nnp}, cmd: []string{"nnp"}},
	{name: "glibc-dns-testing", ref: e2e + "glibc-dns-testing:2.1.1", layers: []layer{debian}, cmd: []string{"sh"}},
	{name: "sample-apiserver", ref: e2e + "sample-apiserver:1.29.2", layers: []layer{program("sample-apiserver", "/sample-apiserver", 0o755)}, entrypoint: []string{"/sample-apiserver"}},
	{name: "etcd", ref: registryHost + "etcd:3.7.0-0", layers: []layer{program("etcd", "/usr/local/bin/etcd", 0o755)}, cmd: []string{"etcd"}},
}

// sonobuoy is what `sonobuoy run` starts in the cluster: its own program, and the
// suite as an image, as upstream's test/conformance/image makes it.
var sonobuoy = []image{
	{name: "sonobuoy", ref: "docker.io/sonobuoy/sonobuoy:v0.57.3", layers: []layer{program("sonobuoy", "/sonobuoy", 0o755)}, cmd: []string{"/sonobuoy", "aggregator", "--no-exit", "-v", "3", "--logtostderr"}},
	{name: "conformance", ref: registryHost + "conformance:v1.37.0", layers: []layer{debian, conformance}, entrypoint: []string{"kubeconformance"}, env: []string{
		`E2E_FOCUS=\[Conformance\]`, "E2E_SKIP=", "E2E_PROVIDER=local", "E2E_PARALLEL=1", "E2E_VERBOSITY=4", "RESULTS_DIR=/tmp/results", "KUBECONFIG=",
	}},
}

// critest is every image of critest but one, which it names by the digest of bytes
// that only its makers have.
var critest = []image{
	{name: "critest-busybox", ref: e2e + "busybox:1.29-2", layers: []layer{busybox, applets}, cmd: []string{"sh"}},
	{name: "critest-nginx", ref: e2e + "nginx:1.14-2", layers: []layer{busybox, nginx(80)}, cmd: foreground},
	{name: "critest-nonewprivs", ref: e2e + "nonewprivs:1.3", layers: []layer{busybox, nnp}, cmd: []string{"nnp"}},
	{name: "critest-pause", ref: registryHost + "pause:3.9", layers: []layer{pause}, entrypoint: []string{"/pause"}},
	// Apache's log names its program; that is all the test reads of it.
	{name: "httpd", ref: e2e + "httpd:2.4.39-4", layers: []layer{busybox, nginx(80)}, cmd: []string{"sh", "-c", "echo httpd; exec " + strings.Join(foreground[:2], " ") + " '" + foreground[2] + "'"}},
	{name: "hostnet-nginx", ref: cri + "hostnet-nginx-" + runtime.GOARCH + ":latest", layers: []layer{busybox, nginx(12003)}, cmd: foreground},
	{name: "test-image-user-uid", ref: cri + "test-image-user-uid:latest", layers: []layer{busybox}, cmd: []string{"sh"}, user: "1002"},
	{name: "test-image-user-username", ref: cri + "test-image-user-username:latest", layers: []layer{busybox}, cmd: []string{"sh"}, user: "www-data"},
	{name: "test-image-user-uid-group", ref: cri + "test-image-user-uid-group:latest", layers: []layer{busybox}, cmd: []string{"sh"}, user: "1003:1004"},
	{name: "test-image-user-username-group", ref: cri + "test-image-user-username-group:latest", layers: []layer{busybox}, cmd: []string{"sh"}, user: "www-data:1004"},
	{name: "test-image-predefined-group", ref: cri + "test-image-predefined-group:latest", layers: []layer{busybox}, cmd: []string{"sh"}, user: "1000"},
	{name: "test-image-1", ref: cri + "test-image-1:latest", layers: []layer{busybox}, cmd: []string{"sh"}},
	{name: "test-image-2", ref: cri + "test-image-2:latest", layers: []layer{busybox}, cmd: []string{"sh"}},
	{name: "test-image-3", ref: cri + "test-image-3:latest", layers: []layer{busybox}, cmd: []string{"sh"}},
	{name: "test-image-latest", ref: cri + "test-image-latest:latest", layers: []layer{busybox}, cmd: []string{"sh"}},
	{name: "test-image-tag", ref: cri + "test-image-tag:test", layers: []layer{busybox}, cmd: []string{"sh"}},
	{name: "test-image-tag-all", ref: cri + "test-image-tag:all", layers: []layer{busybox}, cmd: []string{"sh"}},
	{name: "test-image-tags", ref: cri + "test-image-tags:1", layers: []layer{busybox}, cmd: []string{"sh"}, served: []string{cri + "test-image-tags:2", cri + "test-image-tags:3"}},
}

// The first set is what is made when none is asked for.
var sets = []set{{"suite", suite}, {"sonobuoy", sonobuoy}, {"critest", critest}}
