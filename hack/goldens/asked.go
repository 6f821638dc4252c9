package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// client speaks to the server.
type client struct{ server string }

// value is any JSON object.
type value = map[string]any

// do sends a request and decodes the answer.
func (c *client) do(method, path, contentType string, body any) (int, value, error) {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		payload = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, c.server+path, payload)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", contentType)
	if method == http.MethodGet && contentType != "" {
		request.Header.Set("Accept", contentType)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	var answer value
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return response.StatusCode, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return response.StatusCode, answer, nil
}

// message is what a refused GET is told, empty for an accepted one.
func (c *client) message(path string) (string, error) {
	code, answer, err := c.do(http.MethodGet, path, "", nil)
	if err != nil || code == http.StatusOK {
		return "", err
	}
	text, _ := answer["message"].(string)
	return text, nil
}

// paths of the collections the kinds of selectors.json and names.json are in.
var collections = map[string]string{
	"/ConfigMap": "configmaps", "/Node": "nodes", "/Event": "events", "/Service": "services", "/Secret": "secrets",
	"/Namespace": "namespaces", "/ReplicationController": "replicationcontrollers", "batch/Job": "jobs",
	"apps/ReplicaSet": "replicasets", "events.k8s.io/Event": "events", "resource.k8s.io/ResourceSlice": "resourceslices",
	"certificates.k8s.io/CertificateSigningRequest": "certificatesigningrequests", "rbac.authorization.k8s.io/Role": "roles",
}

func collection(group, version, namespace, kind string) string {
	path := "/apis/" + group + "/" + version
	if group == "" {
		path = "/api/" + version
	}
	if namespace != "" {
		path += "/namespaces/" + namespace
	}
	return path + "/" + collections[group+"/"+kind]
}

// selectors lists pods and other kinds by each selector.
func selectors(c *client, before []byte) ([]byte, error) {
	var present map[string][][]any
	if err := json.Unmarshal(before, &present); err != nil {
		return nil, err
	}
	for part, parameter := range map[string]string{"label": "labelSelector", "field": "fieldSelector"} {
		for _, row := range present[part] {
			text, err := c.message("/api/v1/pods?" + parameter + "=" + url.QueryEscape(row[0].(string)))
			if err != nil {
				return nil, err
			}
			row[1] = text
		}
	}
	for _, row := range present["kinds"] {
		path := collection(row[0].(string), row[1].(string), "", row[2].(string))
		text, err := c.message(path + "?fieldSelector=" + url.QueryEscape(row[3].(string)+"=a"))
		if err != nil {
			return nil, err
		}
		row[4] = text
	}
	return object([]string{"label", "field", "kinds"}, present)
}

// names creates, dry, objects with each metadata.
func names(c *client, before []byte) ([]byte, error) {
	type row struct {
		Group    string `json:"group"`
		Kind     string `json:"kind"`
		Metadata value  `json:"metadata"`
		Status   value  `json:"status"`
	}
	var rows []row
	if err := json.Unmarshal(before, &rows); err != nil {
		return nil, err
	}
	for i := range rows {
		r := &rows[i]
		namespace, body := "default", value{"metadata": r.Metadata}
		switch r.Kind {
		case "Namespace":
			namespace = ""
		case "Service":
			body["spec"] = value{"ports": []value{{"port": 80}}}
		}
		_, answer, err := c.do(http.MethodPost, collection(r.Group, "v1", namespace, r.Kind)+"?dryRun=All", "application/json", body)
		if err != nil {
			return nil, err
		}
		r.Status = answer
	}
	var out bytes.Buffer
	if err := lines(&out, rows); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// patches sends each patch, dry, to a custom resource that takes anything.
func patches(c *client, before []byte) ([]byte, error) {
	type row struct {
		Type    string          `json:"type"`
		Strict  bool            `json:"strict"`
		Patch   json.RawMessage `json:"patch"`
		Code    int             `json:"code"`
		Spec    any             `json:"spec,omitempty"`
		Message string          `json:"message,omitempty"`
		Reason  string          `json:"reason,omitempty"`
	}
	var present struct {
		Document value `json:"document"`
		Rows     []row `json:"rows"`
	}
	if err := json.Unmarshal(before, &present); err != nil {
		return nil, err
	}
	const group = "goldens.example.com"
	remove, err := c.define(group, "Thing", "things", nil)
	if err != nil {
		return nil, err
	}
	defer remove()
	path := "/apis/" + group + "/v1/namespaces/default/things"
	thing := value{"apiVersion": group + "/v1", "kind": "Thing", "metadata": value{"name": "t"}, "spec": present.Document}
	if code, answer, err := c.do(http.MethodPost, path, "application/json", thing); err != nil || code >= 300 {
		return nil, fmt.Errorf("create: %d %v %w", code, answer["message"], err)
	}
	for i := range present.Rows {
		r := &present.Rows[i]
		validation := map[bool]string{true: "Strict", false: "Ignore"}[r.Strict]
		code, answer, err := c.do(http.MethodPatch, path+"/t?dryRun=All&fieldValidation="+validation, "application/"+r.Type, r.Patch)
		if err != nil {
			return nil, err
		}
		r.Code, r.Spec, r.Message, r.Reason = code, nil, "", ""
		if code == http.StatusOK {
			r.Spec = answer["spec"]
		} else {
			r.Message, _ = answer["message"].(string)
			r.Reason, _ = answer["reason"].(string)
		}
	}
	var out bytes.Buffer
	out.WriteString(`{"document": `)
	if err := compact(&out, present.Document); err != nil {
		return nil, err
	}
	out.WriteString(",\n\"rows\": ")
	if err := lines(&out, present.Rows); err != nil {
		return nil, err
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}

// define makes a namespaced custom resource of versions v1 and v1beta1 that takes anything, and gives how to remove it.
func (c *client) define(group, kind, plural string, columns any) (func(), error) {
	anything := value{"openAPIV3Schema": value{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
	v1 := value{"name": "v1", "served": true, "storage": true, "schema": anything}
	if columns != nil {
		v1["additionalPrinterColumns"] = columns
	}
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	definition := value{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": value{"name": plural + "." + group},
		"spec": value{
			"group": group, "scope": "Namespaced",
			"names":    value{"plural": plural, "kind": kind, "shortNames": []string{"wd", "wi"}},
			"versions": []value{v1, {"name": "v1beta1", "served": true, "storage": false, "schema": anything}},
		},
	}
	if strings.HasPrefix(plural, "things") {
		delete(definition["spec"].(value)["names"].(value), "shortNames")
	}
	remove := func() { _, _, _ = c.do(http.MethodDelete, path+"/"+plural+"."+group, "application/json", nil) }
	code, answer, err := c.do(http.MethodPost, path, "application/json", definition)
	if err != nil || (code >= 300 && code != http.StatusConflict) {
		return nil, fmt.Errorf("define %s: %d %v %w", plural, code, answer["message"], err)
	}
	for range 100 {
		code, _, _ = c.do(http.MethodGet, "/apis/"+group+"/v1/"+plural, "", nil)
		if code == http.StatusOK {
			return remove, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return remove, fmt.Errorf("%s is not served", plural)
}
