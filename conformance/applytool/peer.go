package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

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

// prepare makes the namespace and the account that pods need.
func (p *peer) prepare(ctx context.Context) error {
	for _, r := range []request{
		{Method: "POST", Path: "/api/v1/namespaces", Body: map[string]any{"metadata": map[string]any{"name": namespace}}},
		{Method: "POST", Path: "/api/v1/namespaces/" + namespace + "/serviceaccounts", Body: map[string]any{"metadata": map[string]any{"name": "default"}}},
	} {
		a, err := p.send(ctx, &r)
		if err != nil {
			return err
		}
		if a.Code != http.StatusCreated && a.Code != http.StatusConflict {
			return fmt.Errorf("%s: %s %s answers %d: %v", p.name, r.Method, r.Path, a.Code, a.Body["message"])
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
