package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// server is one of the two.
type server struct {
	url    string
	client *http.Client
}

// answer is what a server said, its body unpacked.
type answer struct {
	status int
	media  string
	body   []byte
}

func connect(kubeconfig string) (*server, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kubeconfig, err)
	}
	// We unpack for ourselves, to see that it was packed.
	config.DisableCompression = true
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kubeconfig, err)
	}
	return &server{url: strings.TrimSuffix(config.Host, "/"), client: client}, nil
}

func (s *server) ask(ctx context.Context, q question) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+q.path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", q.accept)
	if q.gzip {
		request.Header.Set("Accept-Encoding", "gzip")
	}
	reply, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	var body io.Reader = reply.Body
	media := reply.Header.Get("Content-Type")
	if encoding := reply.Header.Get("Content-Encoding"); encoding != "" {
		media += ", " + encoding
		if body, err = gzip.NewReader(body); err != nil {
			return nil, fmt.Errorf("%s%s: %w", s.url, q.path, err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", s.url, q.path, err)
	}
	return &answer{status: reply.StatusCode, media: media, body: text}, nil
}

// read is a question in JSON whose answer is of our own use.
func (s *server) read(ctx context.Context, path string, into any) error {
	a, err := s.ask(ctx, question{path: path, accept: "application/json"})
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("%s%s answers %d: %s", s.url, path, a.status, bytes.TrimSpace(a.body))
	}
	return json.Unmarshal(a.body, into)
}

// resource is something that can be listed.
type resource struct {
	path       string // of all of it
	group      string // as a path: /apis/apps/v1
	name       string
	namespaced bool
	watched    bool
}

// resources gives everything the server can list, in every version.
func (s *server) resources(ctx context.Context) ([]resource, error) {
	prefixes := []string{"/api/v1"}
	var groups metav1.APIGroupList
	if err := s.read(ctx, "/apis", &groups); err != nil {
		return nil, err
	}
	for _, group := range groups.Groups {
		for _, version := range group.Versions {
			prefixes = append(prefixes, "/apis/"+version.GroupVersion)
		}
	}
	var all []resource
	for _, prefix := range prefixes {
		var list metav1.APIResourceList
		if err := s.read(ctx, prefix, &list); err != nil {
			// What nobody serves behind an APIService is nobody's fault here.
			fmt.Println("not asked:", err)
			continue
		}
		for _, r := range list.APIResources {
			// Its answers are about the moment.
			if slices.Contains(r.Verbs, "list") && r.Name != "componentstatuses" {
				all = append(all, resource{
					path: prefix + "/" + r.Name, group: prefix, name: r.Name,
					namespaced: r.Namespaced, watched: slices.Contains(r.Verbs, "watch"),
				})
			}
		}
	}
	return all, nil
}

// revision is how far the server is.
func (s *server) revision(ctx context.Context) (string, error) {
	var list metav1.PartialObjectMetadataList
	err := s.read(ctx, "/api/v1/namespaces", &list)
	return list.ResourceVersion, err
}
