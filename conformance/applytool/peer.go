package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// namespace is where everything that has one is put.
const namespace = "applydiff"

// peer is one of the two servers.
type peer struct {
	name, url string
	client    *http.Client
}

func connect(name, path string) (*peer, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	config.QPS = -1
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &peer{name: name, url: strings.TrimSuffix(config.Host, "/"), client: client}, nil
}

// prepare makes the namespace, the account that pods need, and the custom resources of these kinds.
func (p *peer) prepare(ctx context.Context, chosen []*kind) error {
	requests := []request{
		{Method: "POST", Path: "/api/v1/namespaces", Body: object{"metadata": object{"name": namespace}}},
		{Method: "POST", Path: "/api/v1/namespaces/" + namespace + "/serviceaccounts", Body: object{"metadata": object{"name": "default"}}},
	}
	for _, r := range append(requests, definitions(chosen)...) {
		a, err := p.send(ctx, &r)
		if err != nil {
			return err
		}
		if a.Code != http.StatusCreated && a.Code != http.StatusConflict {
			return fmt.Errorf("%s: %s %s answers %d: %v", p.name, r.Method, r.Path, a.Code, a.Body["message"])
		}
	}
	for _, k := range chosen {
		for _, version := range k.versions {
			if err := p.await(ctx, "/apis/"+version+"/"+k.resource, k.definition != nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// definitions are the requests that make custom resources of these kinds.
func definitions(chosen []*kind) []request {
	var requests []request
	for _, k := range chosen {
		if k.definition != nil {
			requests = append(requests, request{Method: "POST", Path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", Body: k.definition})
		}
	}
	return requests
}

// await asks until a custom resource is served.
func (p *peer) await(ctx context.Context, path string, custom bool) error {
	for end := time.Now().Add(30 * time.Second); custom; time.Sleep(50 * time.Millisecond) {
		a, err := p.send(ctx, &request{Method: "GET", Path: path})
		if err != nil {
			return err
		}
		if a.Code == http.StatusOK {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: %s is not served after 30 s: %v", p.name, path, a.Body["message"])
		}
	}
	return nil
}

// request is one step of a sequence.
type request struct {
	Method string         `json:"method"`
	Path   string         `json:"path"`
	Type   string         `json:"type,omitempty"`
	Agent  string         `json:"agent,omitempty"`
	Body   any            `json:"body,omitempty"`
	query  map[string]any `json:"-"`
}

// liveVersion stands for the resourceVersion a server gave last, which is another on each.
const liveVersion = "<live>"

// of is the request with the resourceVersion a server gave last where the body asks for it.
func (r *request) of(resourceVersion string) *request {
	body, _ := r.Body.(map[string]any)
	metadata, _ := body["metadata"].(map[string]any)
	if metadata["resourceVersion"] != liveVersion {
		return r
	}
	out := *r
	body, metadata = maps.Clone(body), maps.Clone(metadata)
	metadata["resourceVersion"] = resourceVersion
	body["metadata"] = metadata
	out.Body = body
	return &out
}

// answer is what a server said.
type answer struct {
	Code     int            `json:"code"`
	Warnings []string       `json:"warnings,omitempty"`
	Body     map[string]any `json:"body"`
}

func (p *peer) send(ctx context.Context, r *request) (*answer, error) {
	var body io.Reader
	if r.Body != nil {
		encoded, err := json.Marshal(r.Body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	q, err := http.NewRequestWithContext(ctx, r.Method, p.url+r.Path, body)
	if err != nil {
		return nil, err
	}
	if r.Type != "" {
		q.Header.Set("Content-Type", r.Type)
	} else {
		q.Header.Set("Content-Type", "application/json")
	}
	q.Header.Set("User-Agent", r.Agent)
	reply, err := p.client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	a := &answer{Code: reply.StatusCode, Warnings: reply.Header.Values("Warning")}
	if err := json.Unmarshal(text, &a.Body); err != nil {
		a.Body = map[string]any{"text": string(text)}
	}
	return a, nil
}
