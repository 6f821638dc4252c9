package main

import (
	"math/rand"
	"strings"
)

// Custom resources that have between them what a structural schema can say of ownership: lists of each type, maps as a whole and
// key by key, places without a schema, embedded objects, defaults in keys, and versions that disagree about all of it.
var customKinds = []*kind{
	{resource: "widgets", kind: "Widget", versions: []string{"applydiff.dev/v1", "applydiff.dev/v2", "applydiff.dev/v1beta1"}, scale: true,
		definition: definition("Widget", "Namespaced",
			version("v1", true, widget(nil), statusAndScale),
			// What is one piece in v1 is many here, and the other way round; some fields are not there at all.
			version("v2", false, widget(object{
				"tags": listOf("atomic", letters()), "ports": listOf("atomic", port()), "frozen": mapOf("granular", letters()), "settings": mapOf("atomic", letters()),
				"commands": listOf("set", letters()), "point": structure("granular", object{"x": integer(), "y": integer()}), "nested": nil,
			}), statusAndScale),
			version("v1beta1", false, object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}, statusAndScale)),
		part: with(some{"spec": few(5, widgetSpec)}),
		status: func(r *rand.Rand) object {
			return some{"phase": choice("Ready", "Gone", nil), "replicas": choice(1, 2), "selector": choice("a=b"),
				"conditions": func(r *rand.Rand) any { return conditions(r) }, "seen": choice([]any{"a"}, []any{"b", "a"}, []any{})}.make(r)
		}},
	{resource: "gadgets", kind: "Gadget", versions: []string{"applydiff.dev/v1alpha1", "applydiff.dev/v1"}, cluster: true,
		definition: definition("Gadget", "Cluster", version("v1alpha1", false, gadget("set", "granular"), nil), version("v1", true, gadget("map", "atomic"), nil)),
		part:       with(some{"spec": fields(gadgetSpec), "status": fields(some{"phase": choice("A", "B")}), "top": choice([]any{"a"}, []any{"a", "b"}, []any{})})},
	{resource: "blobs", kind: "Blob", versions: []string{"applydiff.dev/v1"},
		definition: definition("Blob", "Namespaced", version("v1", true, object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}, statusOnly)),
		part:       with(some{"spec": few(5, widgetSpec), "data": texts("k1", "k2"), "list": choice([]any{1, "a", nil}, []any{object{"name": "a"}}, []any{}, object{"a": 1}, nil, "text")}),
		status: func(r *rand.Rand) object {
			return some{"phase": choice("Ready", nil), "conditions": func(r *rand.Rand) any { return conditions(r) }}.make(r)
		}},
}

// widgetSpec has a field for each thing a schema can say; some values are not what it says.
var widgetSpec = some{
	"replicas": choice(1, 2, 3, nil), "tags": choice([]any{"a"}, []any{"b", "a"}, []any{"a", "b", "c"}, []any{}, []any{"a", "a"}, nil),
	"numbers":  choice([]any{1, 2}, []any{2, 1, 3}, []any{1.0, 2.5}, []any{}),
	"ports":    choice([]any{number(80, "TCP")}, []any{number(80, ""), number(80, "UDP")}, []any{number(81, ""), number(80, "TCP")}, []any{number(80, "TCP"), number(80, "")}, []any{object{"protocol": "UDP"}}, []any{object{"comment": "x"}}, []any{}),
	"commands": choice([]any{"a", "b"}, []any{"b"}, []any{"b", "a"}, []any{}), "labels": texts("k1", "k2", "k3"),
	"settings": texts("k1", "k2"), "frozen": texts("k1", "k2"), "point": choice(object{"x": 1}, object{"x": 1, "y": 2}, object{"y": 3}, object{}, nil),
	"free":     choice(object{"a": 1, "b": []any{1, 2}}, object{"a": object{"c": "d"}}, object{"b": []any{2}, "typed": 3}, object{"inner": object{"a": 1, "b": 2}}, object{}, nil),
	"anything": choice(1, "a", true, []any{1, object{"a": 1}}, object{"a": 1}, object{"b": []any{}}, nil), "size": choice(1, "50%", 2, "1"),
	"template": choice(embedded("a", object{"k": "a"}), embedded("a", object{"k": "b"}), embedded("b", object{}), object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "x", "labels": object{"a": "b"}}}),
	"nested": choice(
		[]any{object{"name": "a", "values": []any{object{"id": 1, "on": true, "texts": []any{"x"}}}}},
		[]any{object{"name": "b", "values": []any{object{"id": 1, "on": false}, object{"id": 1, "on": true}}}, object{"name": "a", "more": object{"k": []any{"y", "x"}}}},
		[]any{object{"name": "a", "values": []any{object{"id": 1, "on": true, "texts": []any{"y", "x"}}, object{"id": 2, "on": true}}, "more": object{"k": []any{"x"}, "l": []any{}}}},
		[]any{object{"name": "a"}}, []any{}, nil),
	"time": choice("2020-01-01T00:00:00Z", "2020-01-01T01:00:00+01:00"), "bytes": choice("YQ==", "Yg=="), "nullable": choice(nil, "a", "b"),
	"mode": choice("A", "B", nil), "defaulted": choice(object{}, object{"a": 1}, object{"b": 2}, nil), "unknown": choice(1, object{"a": "b"}),
	"maps":  choice(object{"k": object{"a": "1"}}, object{"k": object{"a": "2", "b": "1"}, "l": object{}}, object{"l": nil}, object{}),
	"ratio": choice(1, 1.0, 1.5, 2), "flag": choice(true, false, nil, "yes"),
}

// widget is a schema; fields replaced by nil are not there.
func widget(replaced object) object {
	spec := object{
		"replicas": integer(), "tags": listOf("set", letters()), "numbers": listOf("set", object{"type": "number"}), "ports": listOf("map", port(), "number", "protocol"),
		"commands": listOf("", letters()), "labels": mapOf("", letters()), "settings": mapOf("granular", letters()), "frozen": mapOf("atomic", letters()),
		"point":    structure("atomic", object{"x": integer(), "y": integer()}),
		"free":     object{"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": object{"typed": integer(), "inner": structure("", object{"a": integer()})}},
		"anything": object{"x-kubernetes-preserve-unknown-fields": true}, "size": object{"x-kubernetes-int-or-string": true},
		"template": object{"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
		"nested": listOf("map", structure("", object{"name": letters(),
			"values": listOf("map", structure("", object{"id": integer(), "on": object{"type": "boolean", "default": true}, "texts": listOf("set", letters())}, "id"), "id", "on"),
			"more":   mapOf("", listOf("set", letters())),
		}, "name"), "name"),
		"time": object{"type": "string", "format": "date-time"}, "bytes": object{"type": "string", "format": "byte"}, "nullable": object{"type": "string", "nullable": true},
		"mode":      object{"type": "string", "default": "A"},
		"defaulted": object{"type": "object", "default": object{"a": 5}, "properties": object{"a": integer(), "b": integer()}},
		"maps":      mapOf("", mapOf("", letters())), "ratio": object{"type": "number"}, "flag": object{"type": "boolean"},
	}
	for name, schema := range replaced {
		spec[name] = schema
		if schema == nil {
			delete(spec, name)
		}
	}
	condition := structure("", object{"type": letters(), "status": letters(), "reason": letters(), "message": letters(), "lastTransitionTime": object{"type": "string", "format": "date-time"}}, "type")
	return structure("", object{"spec": structure("", spec), "status": structure("", object{
		"phase": letters(), "replicas": integer(), "selector": letters(), "conditions": listOf("map", condition, "type"), "seen": listOf("set", letters())})})
}

var gadgetSpec = some{
	"items": choice([]any{"a"}, []any{"b", "a"}, []any{}), "objects": choice([]any{object{"k": "a", "v": 1}}, []any{object{"k": "b"}, object{"k": "a", "v": 2}}, []any{}),
	"one": choice(object{"a": "x"}, object{"b": object{"c": 1, "d": 2}}, object{"b": object{"c": 2}}, object{}),
	"embedded": choice(
		object{"apiVersion": "v1", "kind": "Thing", "metadata": object{"name": "a", "finalizers": []any{"x.io/a"}}, "spec": object{"a": 1}},
		object{"apiVersion": "v1", "kind": "Thing", "metadata": object{"name": "a", "finalizers": []any{"x.io/b", "x.io/a"}, "labels": object{"a": "b"}}},
		object{"apiVersion": "v2", "kind": "Thing"}),
	"late": choice(1, 2),
}

// gadget is a schema without status or scale behind endpoints of their own; versions differ by the types.
func gadget(list, whole string) object {
	item := structure("", object{"k": letters(), "v": integer()}, "k")
	objects := listOf("atomic", item)
	if list == "map" {
		objects = listOf("map", item, "k")
	}
	spec := object{
		"items": listOf("set", letters()), "objects": objects,
		"one":      structure(whole, object{"a": letters(), "b": structure("", object{"c": integer(), "d": integer()})}),
		"embedded": object{"type": "object", "x-kubernetes-embedded-resource": true, "properties": object{"spec": structure("", object{"a": integer()})}},
	}
	if list == "map" {
		spec["late"] = integer()
	}
	return structure("", object{"spec": structure("", spec), "status": structure("", object{"phase": letters()}), "top": listOf("set", letters())})
}

func integer() object { return object{"type": "integer"} }

func letters() object { return object{"type": "string"} }

func port() object {
	return structure("", object{"number": integer(), "protocol": object{"type": "string", "default": "TCP"}, "comment": letters(), "names": listOf("set", letters())}, "number")
}

func structure(mapType string, properties object, required ...any) object {
	out := object{"type": "object", "properties": properties}
	if mapType != "" {
		out["x-kubernetes-map-type"] = mapType
	}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func mapOf(mapType string, values object) object {
	out := object{"type": "object", "additionalProperties": values}
	if mapType != "" {
		out["x-kubernetes-map-type"] = mapType
	}
	return out
}

func listOf(listType string, items object, keys ...any) object {
	out := object{"type": "array", "items": items}
	if listType != "" {
		out["x-kubernetes-list-type"] = listType
	}
	if len(keys) > 0 {
		out["x-kubernetes-list-map-keys"] = keys
	}
	return out
}

var statusOnly = object{"status": object{}}

var statusAndScale = object{"status": object{}, "scale": object{"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}}

func version(name string, stored bool, schema, subresources object) object {
	out := object{"name": name, "served": true, "storage": stored, "schema": object{"openAPIV3Schema": schema}}
	if subresources != nil {
		out["subresources"] = subresources
	}
	return out
}

func definition(kind, scope string, versions ...any) object {
	singular := strings.ToLower(kind)
	return object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": object{"name": singular + "s.applydiff.dev"},
		"spec": object{"group": "applydiff.dev", "scope": scope, "versions": versions, "names": object{"plural": singular + "s", "singular": singular, "kind": kind, "listKind": kind + "List"}},
	}
}

func number(number int, protocol string) object {
	out := object{"number": number, "names": []any{"n"}}
	if protocol != "" {
		out["protocol"] = protocol
	}
	return out
}

func embedded(name string, data object) object {
	return object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": name}, "data": data}
}
