package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// bodyCase is one line of decode.jsonl: a body, how it is sent, and what upstream answered.
type bodyCase struct {
	Resource   string   `json:"resource"`
	Type       string   `json:"type"`
	Validation string   `json:"validation"`
	Status     int      `json:"status"`
	Body       string   `json:"body"`
	Open       string   `json:"open,omitempty"`
	Repeat     int      `json:"repeat,omitempty"`
	Message    string   `json:"message,omitempty"`
	Warnings   []string `json:"warnings"`
}

// decodePaths are where the resources of the cases are created.
var decodePaths = map[string]string{
	"deployments":               "/apis/apps/v1/namespaces/default/deployments",
	"secrets":                   "/api/v1/namespaces/default/secrets",
	"leases":                    "/apis/coordination.k8s.io/v1/namespaces/default/leases",
	"customresourcedefinitions": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}

// recordDecode sends every body of the file again and writes down the answers.
func recordDecode(server, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		var sent bodyCase
		if err := json.Unmarshal([]byte(line), &sent); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := sent.ask(server); err != nil {
			return err
		}
		if err := encoder.Encode(sent); err != nil {
			return err
		}
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

func (c *bodyCase) ask(server string) error {
	url := server + decodePaths[c.Resource] + "?dryRun=All"
	if c.Validation != "" {
		url += "&fieldValidation=" + c.Validation
	}
	response, err := http.Post(url, c.Type, bytes.NewReader(c.bytes()))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var status struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal(data, &status); err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	c.Status, c.Message, c.Warnings = response.StatusCode, "", nil
	if c.Status == http.StatusBadRequest {
		// A scheme is named after where it was built.
		c.Message = strings.ReplaceAll(status.Message, "pkg/runtime/scheme.go:111", "pkg/api/legacyscheme/scheme.go:30")
		if before, _, isYAML := strings.Cut(c.Message, "): yaml: "); isYAML && !strings.Contains(c.Message, "aliasing") {
			// The words for broken YAML are those of a parser.
			c.Message = before + "): yaml: "
		}
		return nil
	}
	c.Warnings = []string{}
	for _, header := range response.Header.Values("Warning") {
		text := strings.TrimSuffix(strings.TrimPrefix(header, `299 - "`), `"`)
		c.Warnings = append(c.Warnings, strings.ReplaceAll(text, `\"`, `"`))
	}
	return nil
}

// bytes makes the body: deep nestings are written short, characters beyond U+00F0 stand for single bytes.
func (c *bodyCase) bytes() []byte {
	if c.Repeat > 0 {
		return []byte(strings.ReplaceAll(c.Body, "OPEN", strings.Repeat(c.Open, c.Repeat)))
	}
	var body []byte
	for _, character := range c.Body {
		if character > 0xf0 && character < 0x100 {
			body = append(body, byte(character))
		} else {
			body = append(body, string(character)...)
		}
	}
	return body
}
