package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	// What a definition is made of: sections with fields, 210 places with a schema of their own and 23 KB of JSON in all.
	sections         = 19
	fieldsPerSection = 10
	// How often is asked whether a resource is served yet, and how long.
	askEvery = 20 * time.Millisecond
	patience = 5 * time.Minute
)

// object is JSON in the making.
type object = map[string]any

func customGroup(number int) string { return fmt.Sprintf("group-%03d.example.com", number) }

// customPath is where the objects of a definition are. Each has a group of its own, as those of most operators have.
func customPath(number int) string {
	return fmt.Sprintf("/apis/%s/v1/namespaces/%s/widgets", customGroup(number), namespace)
}

// definition is as large as those that operators come with: every field has a text, one in two something that is demanded of it.
func definition(number int) object {
	spec := object{}
	for section := range sections {
		fields := object{}
		for field := range fieldsPerSection {
			fields[fmt.Sprintf("field%02d", field)] = fieldSchema(field)
		}
		spec[fmt.Sprintf("section%02d", section)] = object{
			"type":        "object",
			"description": fmt.Sprintf("Section %d says how this part of the widget behaves.", section),
			"required":    []string{"field00"},
			"properties":  fields,
		}
	}
	return object{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   object{"name": "widgets." + customGroup(number)},
		"spec": object{
			"group": customGroup(number),
			"scope": "Namespaced",
			"names": object{"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
			"versions": []object{{
				"name": "v1", "served": true, "storage": true,
				"subresources": object{"status": object{}},
				"schema": object{"openAPIV3Schema": object{
					"type": "object",
					"properties": object{
						"spec": object{
							"type": "object", "properties": spec,
							"x-kubernetes-validations": []object{{
								"rule": "!has(self.section00) || self.section00.field02 <= 100", "message": "section00.field02 is a share",
							}},
						},
						"status": object{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
					},
				}},
			}},
		},
	}
}

// fieldSchema is the schema of a field of a section.
func fieldSchema(field int) object {
	schema := object{"description": fmt.Sprintf("Field %d is read by the operator.", field)}
	set := func(more object) object {
		for name, value := range more {
			schema[name] = value
		}
		return schema
	}
	switch field {
	case 0:
		return set(object{"type": "string", "minLength": 1, "maxLength": 63})
	case 1:
		return set(object{"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"})
	case 2:
		return set(object{"type": "integer", "format": "int32", "minimum": 0, "maximum": 100})
	case 3:
		return set(object{"type": "boolean", "default": false})
	case 4:
		return set(object{"type": "string", "enum": []string{"Always", "IfNotPresent", "Never"}})
	case 5:
		return set(object{"type": "array", "items": object{"type": "string"}})
	case 6:
		return set(object{"type": "object", "additionalProperties": object{"type": "string"}})
	default:
		return set(object{"type": "string"})
	}
}

// createDefinitions makes definitions and lists the resource of each as soon as it is served.
func createDefinitions(ctx context.Context, l *load) (*result, error) {
	return l.parallel(ctx, l.objects, func(ctx context.Context, client, number int) error {
		if err := l.post(ctx, client, definitionsPath, definition(number)); err != nil {
			return err
		}
		return wait.PollUntilContextTimeout(ctx, askEvery, patience, true, func(ctx context.Context) (bool, error) {
			err := l.clients[client].Discovery().RESTClient().Get().AbsPath(customPath(number)).Do(ctx).Error()
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil, err
		})
	})
}

// createCustomObjects makes an object of each definition.
func createCustomObjects(ctx context.Context, l *load) (*result, error) {
	return l.parallel(ctx, l.objects, func(ctx context.Context, client, number int) error {
		return l.post(ctx, client, customPath(number), object{
			"apiVersion": customGroup(number) + "/v1",
			"kind":       "Widget",
			"metadata":   object{"name": "widget"},
			"spec":       object{"section00": object{"field00": "name", "field01": strings.Repeat("a", 8), "field02": 1}},
		})
	})
}

// post creates an object, as JSON whatever the clients speak: these kinds have no protobuf.
func (l *load) post(ctx context.Context, client int, path string, body object) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return l.clients[client].Discovery().RESTClient().Post().AbsPath(path).
		SetHeader("Content-Type", typeJSON).Body(data).Do(ctx).Error()
}
