package main

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	variable = regexp.MustCompile(`\$[a-z][a-zA-Z0-9]*`)
	uid      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	moment   = regexp.MustCompile(`\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})`)
	age      = regexp.MustCompile(`^(\d+[ydhms])+( ago)?$`)
	address  = regexp.MustCompile(`\b10\.96\.\d{1,3}\.\d{1,3}\b`)
	nodePort = regexp.MustCompile(`\b3[0-2]\d{3}\b`)
	tooNew   = regexp.MustCompile(`((?:version|revision|current|resourceVersion|record)[\\":= (]+)\d+`)
	// generateName is a prefix a request gave.
	generateName = regexp.MustCompile(`"generateName":\s*"([^"]*)"`)
	// tokenVolume is a name that admission makes.
	tokenVolume = regexp.MustCompile(`\bkube-api-access-` + generated)
	// textVersion is a revision in YAML.
	textVersion = regexp.MustCompile(`^(\s*resourceVersion: )"\d+"$`)
	// digits is all of a text; in protobuf only field numbers say which of them are revisions.
	digits = regexp.MustCompile(`^\d+$`)
	// scheme is a place in upstream's source, which a program built from modules calls otherwise than a release.
	scheme = regexp.MustCompile(`scheme "[^"]*"`)
	jwt    = regexp.MustCompile(`^eyJ[\w-]+\.[\w-]+\.[\w-]+$`)
)

// generated is what the server puts behind a prefix: letters that make no words.
const generated = `[bcdfghjklmnpqrstvwxz2456789]{5}`

// normaliser replaces what may differ between two runs of the same requests by words for it. What the requests themselves
// said is left: it has to come back.
type normaliser struct {
	session *session
}

// normalise returns the tree as it is compared.
func (n *normaliser) normalise(answer map[string]any) map[string]any {
	out := make(map[string]any, len(answer))
	for key, value := range answer {
		out[key] = n.walk(key, value)
	}
	return out
}

func (n *normaliser) walk(key string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(value))
		for name, child := range value {
			out[n.text("", name)] = n.walk(name, child)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, child := range value {
			out[i] = n.walk(key, child)
		}
		return out
	case []string:
		out := make([]any, len(value))
		for i, child := range value {
			out[i] = n.walk(key, child)
		}
		return out
	case string:
		if jwt.MatchString(value) {
			if said, ok := claims(value); ok {
				return n.walk("token", said)
			}
		}
		return n.text(key, value)
	case float64:
		return n.number(key, value)
	}
	return value
}

func (n *normaliser) number(key string, value float64) any {
	text := strconv.FormatFloat(value, 'f', -1, 64)
	switch key {
	case "nodePort", "healthCheckNodePort":
		if nodePort.MatchString(text) && !n.said(text) {
			return "<port>"
		}
	case "port", "targetPort":
		if strings.HasSuffix(n.session.peer.url, ":"+text) {
			return "<port>"
		}
	case "exp", "iat", "nbf", "warnafter":
		return "<seconds>"
	case "1":
		// In protobuf, the seconds of a time.
		if value > 1.7e9 && value < 4e9 {
			return "<seconds>"
		}
	}
	return value
}

func (n *normaliser) text(key, text string) string {
	switch {
	case key == "resourceVersion" && text != "" && text != "0":
		return n.version(text)
	case key == "kid":
		return "<key>"
	case key == "continue" && text != "":
		return "<continue>"
	case (key == "6" || key == "2") && digits.MatchString(text):
		// In protobuf, fields of ObjectMeta and ListMeta.
		return n.version(text)
	case key == "cells" && age.MatchString(text):
		return "<age>"
	}
	for name, value := range n.session.variables {
		if len(value) >= 5 && strings.Contains(text, value) {
			text = strings.ReplaceAll(text, value, "$"+name)
		}
	}
	for _, prefix := range generateName.FindAllStringSubmatch(n.session.said.String(), -1) {
		made := regexp.MustCompile(regexp.QuoteMeta(prefix[1]) + generated)
		text = made.ReplaceAllString(text, prefix[1]+"<generated>")
	}
	text = n.replace(uid, text, "<uid>")
	text = tokenVolume.ReplaceAllString(text, "kube-api-access-<generated>")
	text = textVersion.ReplaceAllString(text, `$1"<version>"`)
	text = scheme.ReplaceAllString(text, `scheme "<place>"`)
	text = n.replace(moment, text, "<time>")
	text = n.replace(address, text, "<address>")
	text = n.replace(nodePort, text, "<port>")
	text = tooNew.ReplaceAllString(text, "$1<version>")
	if _, port, found := strings.Cut(n.session.peer.url, "//127.0.0.1:"); found {
		text = strings.ReplaceAll(text, ":"+port, ":<port>")
	}
	return text
}

// version tells whether a resourceVersion is one the case has saved: what did not change has to stay.
func (n *normaliser) version(text string) string {
	best := "<version>"
	for name, value := range n.session.variables {
		if value == text && (best == "<version>" || "$"+name < best) {
			best = "$" + name
		}
	}
	return best
}

func (n *normaliser) replace(what *regexp.Regexp, text, word string) string {
	return what.ReplaceAllStringFunc(text, func(found string) string {
		if n.said(found) {
			return found
		}
		return word
	})
}

func (n *normaliser) said(text string) bool {
	return strings.Contains(n.session.said.String(), text)
}
