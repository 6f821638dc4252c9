// Package load is the users: clients that read and write ConfigMaps and Leases over
// HTTPS, watchers that follow them, and the record of what they saw. Nothing here is
// retried, because a retry hides what a server did.
package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// Namespace is where all objects of the load are.
const Namespace = "faults"

// How long a call, and a connection's silence, may last.
const (
	callTimeout = 5 * time.Second
	pingAfter   = 2 * time.Second
)

// Endpoint is where the server is, who asks, and by what the server is known.
type Endpoint struct {
	Address, Token string
	Roots          *x509.CertPool
}

// client speaks to the API, over one connection or a few of its own.
type client struct {
	endpoint Endpoint
	http     *http.Client
}

// newClient makes one that speaks HTTP/2, or HTTP/1.1 as some proxies make of it.
func newClient(endpoint Endpoint, http2 bool) *client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		Protocols:           protocols,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter},
		TLSClientConfig:     &tls.Config{RootCAs: endpoint.Roots},
		TLSHandshakeTimeout: callTimeout,
	}
	return &client{endpoint: endpoint, http: &http.Client{Transport: transport}}
}

// errNotSent: no connection took the request, so nothing can have come of it.
var errNotSent = errors.New("not sent")

// send asks, and gives the answer with its body still to be read. The error wraps
// errNotSent if the server cannot have seen the request.
func (c *client) send(ctx context.Context, method, path string, query url.Values, contentType string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	address := url.URL{Scheme: "https", Host: c.endpoint.Address, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, method, address.String(), content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.endpoint.Token)
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	answer, err := c.http.Do(request)
	if err != nil && !sent.Load() {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	return answer, err
}

// call asks and reads the whole answer into `into` if it is a success.
func (c *client) call(ctx context.Context, method, path string, query url.Values, contentType string, body, into any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := c.send(ctx, method, path, query, contentType, body)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	if answer.StatusCode >= 300 {
		var why status
		if json.Unmarshal(text, &why) != nil {
			why.Message = string(text)
		}
		return answer.StatusCode, fmt.Errorf("%s: %.250s", answer.Status, why.Message)
	}
	return answer.StatusCode, json.Unmarshal(text, into)
}

// path of a collection, or of an object in it.
func path(resource, name string) string {
	prefix := "/api/v1"
	if resource == Leases {
		prefix = "/apis/coordination.k8s.io/v1"
	}
	p := prefix + "/namespaces/" + Namespace + "/" + resource
	if name != "" {
		p += "/" + name
	}
	return p
}
