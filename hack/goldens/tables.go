package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"
)

const (
	asTable       = "application/json;as=Table;v=v1;g=meta.k8s.io"
	widgetGroup   = "api-tables.example.com"
	tableContents = "api-tables"
)

// resourceInfo is a resource that can be listed.
type resourceInfo struct {
	group, version, name, kind string
	namespaced                 bool
}

func (r resourceInfo) path(namespace string) string {
	path := "/apis/" + r.group + "/" + r.version
	if r.group == "" {
		path = "/api/" + r.version
	}
	if r.namespaced && namespace != "" {
		path += "/namespaces/" + namespace
	}
	return path + "/" + r.name
}

// resources are all that discovery names and that can be listed.
func (c *client) resources() ([]resourceInfo, error) {
	versions := []string{"v1"}
	_, groups, err := c.do(http.MethodGet, "/apis", "", nil)
	if err != nil {
		return nil, err
	}
	for _, group := range items(groups["groups"]) {
		for _, version := range items(group["versions"]) {
			versions = append(versions, version["groupVersion"].(string))
		}
	}
	var found []resourceInfo
	for _, version := range versions {
		info, base := resourceInfo{version: version}, "/api/v1"
		if group, rest, ok := strings.Cut(version, "/"); ok {
			info, base = resourceInfo{group: group, version: rest}, "/apis/"+version
		}
		_, list, err := c.do(http.MethodGet, base, "", nil)
		if err != nil {
			return nil, err
		}
		for _, resource := range items(list["resources"]) {
			name := resource["name"].(string)
			if strings.Contains(name, "/") || !strings.Contains(fmt.Sprint(resource["verbs"]), "list") {
				continue
			}
			info.name, info.kind, info.namespaced = name, resource["kind"].(string), resource["namespaced"] == true
			found = append(found, info)
		}
	}
	return found, nil
}

// tableColumns asks each resource for its columns; descriptions are left out.
func tableColumns(c *client, _ []byte) ([]byte, error) {
	resources, err := c.resources()
	if err != nil {
		return nil, err
	}
	var rows [][]any
	for _, r := range resources {
		if strings.HasSuffix(r.group, ".example.com") {
			continue
		}
		_, table, err := c.do(http.MethodGet, r.path("")+"?limit=1", asTable, nil)
		if err != nil {
			return nil, err
		}
		var columns [][]any
		for _, column := range items(table["columnDefinitions"]) {
			columns = append(columns, []any{column["name"], column["type"], column["format"], column["priority"]})
		}
		rows = append(rows, []any{r.group, r.version, r.kind, columns})
	}
	var out bytes.Buffer
	if err := lines(&out, rows); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// tableOf is one kind's part of tables.json.
type tableOf struct {
	Group   string  `json:"group"`
	Version string  `json:"version"`
	Kind    string  `json:"kind"`
	Now     string  `json:"now"`
	Rows    []value `json:"rows"`
}

// tables makes the objects again, reads them as tables, and takes the cells over. Objects the server makes itself are read
// as they are. Times in objects move with the present, so that ages stay.
func tables(c *client, before []byte) ([]byte, error) {
	var present struct {
		Columns     any       `json:"columns"`
		Definitions any       `json:"definitions"`
		Tables      []tableOf `json:"tables"`
	}
	if err := json.Unmarshal(before, &present); err != nil {
		return nil, err
	}
	_, _, err := c.do(http.MethodPost, "/api/v1/namespaces", "application/json", value{"metadata": value{"name": tableContents}})
	if err != nil {
		return nil, err
	}
	remove, err := c.define(widgetGroup, "Widget", "widgets", present.Columns)
	if err != nil {
		return nil, err
	}
	defer remove()
	resources, err := c.resources()
	if err != nil {
		return nil, err
	}
	byKind := map[string]resourceInfo{}
	for _, r := range resources {
		byKind[r.group+"/"+r.version+"/"+r.kind] = r
	}
	for _, table := range present.Tables {
		for _, row := range table.Rows {
			made := c.make(byKind[table.Group+"/"+table.Version+"/"+table.Kind], table.Now, row["object"].(value))
			defer made()
		}
	}
	for i := range present.Tables {
		table := &present.Tables[i]
		if err := c.read(byKind[table.Group+"/"+table.Version+"/"+table.Kind], table); err != nil {
			return nil, err
		}
	}
	_, widgets, err := c.do(http.MethodGet, "/apis/"+widgetGroup+"/v1/widgets", asTable, nil)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, part := range []struct {
		name  string
		value any
	}{{"{\"columns\": ", present.Columns}, {",\n\"definitions\": ", widgets["columnDefinitions"].([]any)[1:]}, {",\n\"tables\": ", nil}} {
		out.WriteString(part.name)
		if part.value != nil {
			if err := compact(&out, part.value); err != nil {
				return nil, err
			}
		}
	}
	if err := lines(&out, present.Tables); err != nil {
		return nil, err
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}

// make creates an object with its status, begins its deletion if it was being deleted, and gives how to remove it.
func (c *client) make(r resourceInfo, then string, recorded value) func() {
	var object value
	text, _ := json.Marshal(recorded)
	_ = json.Unmarshal(moved(text, then), &object)
	metadata := object["metadata"].(value)
	name, _ := metadata["name"].(string)
	namespace, _ := metadata["namespace"].(string)
	deleting := metadata["deletionTimestamp"] != nil
	for _, field := range []string{"resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"} {
		delete(metadata, field)
	}
	if spec, ok := object["spec"].(value); ok && r.kind == "Job" {
		// The server makes these up, and takes none that are made up already.
		delete(spec, "selector")
		delete(spec["template"].(value), "metadata")
		delete(metadata, "labels")
	}
	status := object["status"]
	code, _, err := c.do(http.MethodPost, r.path(namespace), "application/json", object)
	if err != nil || code >= 300 {
		return func() {}
	}
	path := r.path(namespace) + "/" + name
	if status != nil {
		_, _, _ = c.do(http.MethodPatch, path+"/status", "application/merge-patch+json", value{"status": status})
	}
	now := value{"gracePeriodSeconds": 0}
	if deleting {
		_, _, _ = c.do(http.MethodDelete, path, "application/json", now)
	}
	return func() {
		_, _, _ = c.do(http.MethodPatch, path, "application/merge-patch+json", value{"metadata": value{"finalizers": nil}})
		_, _, _ = c.do(http.MethodDelete, path, "application/json", now)
	}
}

// read takes the cells of the recorded objects from a table and the objects from a list of the same second.
func (c *client) read(r resourceInfo, table *tableOf) error {
	wanted := map[string]bool{}
	for _, row := range table.Rows {
		wanted[row["object"].(value)["metadata"].(value)["name"].(string)] = true
	}
	for range 10 {
		_, list, err := c.do(http.MethodGet, r.path(tableContents), "", nil)
		if err != nil {
			return err
		}
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second + 20*time.Millisecond)))
		now := time.Now().Truncate(time.Second)
		_, answer, err := c.do(http.MethodGet, r.path(tableContents)+"?includeObject=Metadata", asTable, nil)
		if err != nil {
			return err
		}
		if !time.Now().Truncate(time.Second).Equal(now) || versions(list) != versions(answer) {
			continue
		}
		table.Now = now.UTC().Format(time.RFC3339)
		table.Rows = rows(list, answer, wanted)
		return nil
	}
	return fmt.Errorf("%s changes all the time", r.name)
}

// rows are those of the table whose objects are wanted, each with its object as the list has it.
func rows(list, table value, wanted map[string]bool) []value {
	objects := map[string]value{}
	for _, object := range items(list["items"]) {
		metadata := object["metadata"].(value)
		for _, field := range []string{"managedFields", "uid", "generation"} {
			delete(metadata, field)
		}
		objects[metadata["name"].(string)] = object
	}
	var found []value
	for _, row := range items(table["rows"]) {
		name := row["object"].(value)["metadata"].(value)["name"].(string)
		if !wanted[name] {
			continue
		}
		kept := value{"object": objects[name], "cells": row["cells"]}
		if conditions := row["conditions"]; conditions != nil {
			kept["conditions"] = conditions
		}
		found = append(found, kept)
	}
	return found
}

// versions are the resource versions of a list's or table's objects.
func versions(list value) string {
	var all []string
	for _, object := range items(list["items"]) {
		all = append(all, fmt.Sprint(object["metadata"].(value)["resourceVersion"]))
	}
	for _, row := range items(list["rows"]) {
		all = append(all, fmt.Sprint(row["object"].(value)["metadata"].(value)["resourceVersion"]))
	}
	sort.Strings(all)
	return strings.Join(all, ",")
}

// moved shifts every time in a JSON text by the age of the recording.
func moved(text []byte, then string) []byte {
	recorded, err := time.Parse(time.RFC3339, then)
	if err != nil {
		return text
	}
	age := time.Since(recorded)
	parts := strings.Split(string(text), `"`)
	for i, part := range parts {
		if at, err := time.Parse(time.RFC3339Nano, part); err == nil {
			layout := time.RFC3339
			if strings.Contains(part, ".") {
				layout = "2006-01-02T15:04:05.000000Z07:00"
			}
			parts[i] = at.Add(age).UTC().Format(layout)
		}
	}
	return []byte(strings.Join(parts, `"`))
}

func items(list any) []value {
	var all []value
	elements, _ := list.([]any)
	for _, element := range elements {
		if object, ok := element.(value); ok {
			all = append(all, object)
		}
	}
	return all
}
