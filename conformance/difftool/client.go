package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// patience is how long one request may take, watches included.
const patience = 40 * time.Second

// peer is one of the two servers.
type peer struct {
	called string
	// url is scheme, host and port.
	url string
	// tokens by user.
	tokens map[string]string
	http   *http.Client
}

// reply is an answer as it came.
type reply struct {
	status  int
	headers http.Header
	body    []byte
	// cut says that a stream was left before its end, as the step asks.
	cut bool
}

// session is one case on one server: its variables and what it has said so far.
type session struct {
	peer *peer
	// variables by name, `$` not included.
	variables map[string]string
	// said is the text of all requests: what stands in it is no accident in an answer.
	said strings.Builder
}

func newSession(p *peer, namespace string) *session {
	return &session{peer: p, variables: map[string]string{"ns": namespace}}
}

// expand puts variables into a text. Names that are no variables stay: patches have keys like $patch.
func (s *session) expand(text string) string {
	return variable.ReplaceAllStringFunc(text, func(name string) string {
		if value, ok := s.variables[name[1:]]; ok {
			return value
		}
		return name
	})
}

// send sends one step and reads its answer.
func (s *session) send(ctx context.Context, step *step) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := s.request(ctx, step)
	if err != nil {
		return nil, err
	}
	response, err := s.peer.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer := &reply{status: response.StatusCode, headers: response.Header}
	answer.body, answer.cut, err = read(response, step.Read)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return answer, nil
}

func (s *session) request(ctx context.Context, step *step) (*http.Request, error) {
	if step.Pad > 0 {
		s.variables["pad"] = strings.Repeat("x", step.Pad)
	}
	path := strings.ReplaceAll(s.expand(step.path()), " ", "%20")
	body, err := s.body(step)
	if err != nil {
		return nil, err
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, step.method(), s.peer.url+path, reader)
	if err != nil {
		return nil, err
	}
	if step.Pad == 0 {
		fmt.Fprintln(&s.said, path)
		s.said.Write(body)
	}
	request.Header.Set("User-Agent", "diff/1.0")
	for name, value := range map[string]string{"Accept": step.Accept, "Content-Type": step.Type} {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	if body != nil && step.Type == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range step.Headers {
		request.Header.Set(name, s.expand(value))
	}
	switch user := step.As; user {
	case "nobody":
	case "":
		request.Header.Set("Authorization", "Bearer "+s.peer.tokens["admin"])
	default:
		token, ok := s.peer.tokens[user]
		if !ok {
			token = s.expand(user)
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request, nil
}

func (s *session) body(step *step) ([]byte, error) {
	if step.Base64 != nil {
		return step.Base64, nil
	}
	if step.Body == nil {
		return nil, nil
	}
	text := string(step.Body)
	if text[0] == '"' {
		if err := json.Unmarshal(step.Body, &text); err != nil {
			return nil, err
		}
	}
	return []byte(s.expand(text)), nil
}

// read reads a body whole, or so many lines (JSON) or frames (protobuf) of it.
func read(response *http.Response, count int) ([]byte, bool, error) {
	if count == 0 {
		body, err := io.ReadAll(response.Body)
		return body, false, err
	}
	framed := strings.HasPrefix(response.Header.Get("Content-Type"), protobufType)
	var body []byte
	for range count {
		piece, err := readPiece(response.Body, framed)
		body = append(body, piece...)
		if err == io.EOF {
			return body, false, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
	return body, true, nil
}

func readPiece(from io.Reader, framed bool) ([]byte, error) {
	if framed {
		head := make([]byte, 4)
		if _, err := io.ReadFull(from, head); err != nil {
			return nil, err
		}
		piece := make([]byte, int(binary.BigEndian.Uint32(head)))
		_, err := io.ReadFull(from, piece)
		return append(head, piece...), err
	}
	var line []byte
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(from, one); err != nil {
			return line, err
		}
		line = append(line, one[0])
		if one[0] == '\n' {
			return line, nil
		}
	}
}

// keep saves what a step names of its answer's body.
func (s *session) keep(step *step, answer *reply) error {
	if len(step.Save) == 0 {
		return nil
	}
	var body any
	if err := json.Unmarshal(answer.body, &body); err != nil {
		return fmt.Errorf("save: the body is no JSON: %w", err)
	}
	for name, path := range step.Save {
		if name == "ns" || name == "pad" {
			return fmt.Errorf("save: $%s is taken", name)
		}
		values := lookup(body, path)
		if len(values) != 1 {
			return fmt.Errorf("save: the answer (%d) has no %s", answer.status, path)
		}
		switch value := values[0].(type) {
		case string:
			s.variables[name] = value
		default:
			text, err := json.Marshal(value)
			if err != nil {
				return err
			}
			s.variables[name] = string(text)
		}
	}
	return nil
}

// claims is what a token says, where a text is one.
func claims(token string) (map[string]any, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, false
	}
	out := map[string]any{}
	for i, name := range []string{"header", "claims"} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, false
		}
		var part any
		if json.Unmarshal(text, &part) != nil {
			return nil, false
		}
		out[name] = part
	}
	return out, true
}
