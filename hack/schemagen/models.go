package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
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
	Type          string          `json:"type"`
	Format        string          `json:"format"`
	Default       json.RawMessage `json:"default"`
	Enum          []string        `json:"enum"`
	ListType      string          `json:"x-kubernetes-list-type"`
	ListMapKeys   []string        `json:"x-kubernetes-list-map-keys"`
	MapType       string          `json:"x-kubernetes-map-type"`
	PatchMergeKey string          `json:"x-kubernetes-patch-merge-key"`
	PatchStrategy string          `json:"x-kubernetes-patch-strategy"`
	Items         *property       `json:"items"`
}

// readModels merges the documents of all served group-versions; a model is the same wherever it appears.
func readModels(dir string, versions []groupVersion) (map[string]*model, error) {
	models := map[string]*model{}
	for _, gv := range versions {
		file := fmt.Sprintf("apis__%s__%s_openapi.json", gv.group, gv.version)
		if gv.group == "" {
			file = "api__v1_openapi.json"
		}
		var document struct {
			Components struct {
				Schemas map[string]*model `json:"schemas"`
			} `json:"components"`
		}
		if err := readJSON(filepath.Join(dir, file), &document); err != nil {
			return nil, err
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
