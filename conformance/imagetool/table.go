package main

// image is one row of the table: what the suite calls it and what it is made of.
type image struct {
	name       string // of the archive
	ref        string // the exact name that tests and manifests use
	layers     []layer
	entrypoint []string
	cmd        []string
	user       string
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
)

// Every image of the 462 conformance tests of v1.37.
var images = []image{
	{name: "agnhost", ref: e2e + "agnhost:2.66.1", layers: agnhost, entrypoint: []string{"/agnhost"}, cmd: []string{"pause"}},
	{name: "agnhost-prev", ref: e2e + "agnhost:2.55", layers: agnhost, entrypoint: []string{"/agnhost"}, cmd: []string{"pause"}},
	{name: "busybox", ref: e2e + "busybox:1.37.0-2", layers: []layer{busybox}, cmd: []string{"sh"}},
	{name: "pause", ref: registryHost + "pause:3.10.2", layers: []layer{pause}, entrypoint: []string{"/pause"}, user: "65535:65535"},
	// Tests of nginx only want it to stay Running and to answer on port 80.
	{name: "nginx", ref: e2e + "nginx:1.27.0-2", layers: agnhost, entrypoint: []string{"/agnhost"}, cmd: []string{"test-webserver"}},
	{name: "kitten", ref: e2e + "kitten:1.8", layers: append(agnhost, html("kitten")), entrypoint: []string{"/agnhost"}, cmd: []string{"test-webserver"}},
	{name: "nautilus", ref: e2e + "nautilus:1.8", layers: append(agnhost, html("nautilus")), entrypoint: []string{"/agnhost"}, cmd: []string{"test-webserver"}},
	{name: "nonewprivs", ref: e2e + "nonewprivs:1.4", layers: []layer{busybox, program("nnp", "/usr/local/bin/nnp", setuid|0o755)}, cmd: []string{"nnp"}},
	{name: "glibc-dns-testing", ref: e2e + "glibc-dns-testing:2.1.1", layers: []layer{debian}, cmd: []string{"sh"}},
	{name: "sample-apiserver", ref: e2e + "sample-apiserver:1.29.2", layers: []layer{program("sample-apiserver", "/sample-apiserver", 0o755)}, entrypoint: []string{"/sample-apiserver"}},
	{name: "etcd", ref: registryHost + "etcd:3.7.0-0", layers: []layer{program("etcd", "/usr/local/bin/etcd", 0o755)}, cmd: []string{"etcd"}},
}
