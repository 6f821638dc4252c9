package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// model is one schema of the published OpenAPI v3, without its sentences.
type model struct {
	Required   []string                     `json:"required"`
	Properties map[string]*property         `json:"properties"`
	MapType    string                       `json:"x-kubernetes-map-type"`
	Kinds      []groupVersionKind           `json:"x-kubernetes-group-version-kind"`
	Unions     []map[string]json.RawMessage `json:"x-kubernetes-unions"`
}

type groupVersionKind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

type property struct {
	Default       json.RawMessage `json:"default"`
	ListType      string          `json:"x-kubernetes-list-type"`
	ListMapKeys   []string        `json:"x-kubernetes-list-map-keys"`
	MapType       string          `json:"x-kubernetes-map-type"`
	PatchStrategy string          `json:"x-kubernetes-patch-strategy"`
}

// document is what is read of a published OpenAPI v3 document.
type document struct {
	Paths map[string]struct {
		Delete struct {
			Action    string `json:"x-kubernetes-action"`
			Responses map[string]struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					} `json:"schema"`
				} `json:"content"`
			} `json:"responses"`
		} `json:"delete"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]*model `json:"schemas"`
	} `json:"components"`
}

// statusModel is what most deletions answer with.
const statusModel = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Status"

// markReturned notes which resources answer a deletion with the object.
func (d document) markReturned(gv *groupVersion) {
	for path, item := range d.Paths {
		answer := item.Delete.Responses["200"].Content["application/json"].Schema.Ref
		plural, isItem := strings.CutSuffix(path, "/{name}")
		if !isItem || item.Delete.Action != "delete" || answer == statusModel {
			continue
		}
		plural = plural[strings.LastIndex(plural, "/")+1:]
		for i := range gv.resources {
			if gv.resources[i].Name == plural {
				gv.resources[i].returned = true
			}
		}
	}
}

// readModels merges the documents of all served group-versions; a model is the same wherever it appears.
func readModels(dir string, versions []groupVersion) (map[string]*model, error) {
	models := map[string]*model{}
	files := []string{"api_openapi.json", "apis_openapi.json", "version_openapi.json"}
	for _, gv := range versions {
		if gv.group == "" {
			files = append(files, "api__v1_openapi.json")
		} else {
			files = append(files, fmt.Sprintf("apis__%s__%s_openapi.json", gv.group, gv.version))
		}
	}
	for i, file := range files {
		var document document
		if err := readJSON(filepath.Join(dir, file), &document); err != nil {
			return nil, err
		}
		if version := i - (len(files) - len(versions)); version >= 0 {
			document.markReturned(&versions[version])
		}
		for name, schema := range document.Components.Schemas {
			if known, seen := models[name]; seen {
				// DeleteOptions and the like name the document's own group-version, too.
				schema.Kinds = slices.DeleteFunc(schema.Kinds, func(kind groupVersionKind) bool {
					return !slices.Contains(known.Kinds, kind)
				})
			}
			models[name] = schema
		}
	}
	return models, nil
}

func (m *model) requires(name string) bool {
	if m == nil {
		return false
	}
	for _, required := range m.Required {
		if required == name {
			return true
		}
	}
	return false
}
