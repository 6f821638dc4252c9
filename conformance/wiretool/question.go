package main

import (
	"context"
	"fmt"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// question is a GET, the same for both.
type question struct {
	path   string
	accept string
	gzip   bool
	watch  bool
}

const (
	asTable  = ";as=Table;v=v1;g=meta.k8s.io"
	asObject = ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	asList   = ";as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
)

var encodings = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor"}

type questionnaire struct {
	questions []question
	objects   int
}

// questions is all that is asked about a resource, at a revision both have.
func questions(ctx context.Context, s *server, r resource, revision string) (*questionnaire, error) {
	var list metav1.PartialObjectMetadataList
	exact := r.path + "?resourceVersionMatch=Exact&resourceVersion=" + revision
	if err := s.read(ctx, exact, &list); err != nil {
		return nil, err
	}
	all := &questionnaire{objects: len(list.Items)}
	add := func(path string, watch bool, shapes ...string) {
		for _, encoding := range encodings {
			for _, shape := range shapes {
				all.questions = append(all.questions, question{path: path, accept: encoding + shape, watch: watch})
			}
		}
	}
	add(exact, false, "", asTable, asList, asObject)
	all.questions = append(all.questions, question{path: exact, accept: encodings[0], gzip: true})
	add(exact+"&limit=1", false, "", asTable, asList)
	for _, item := range list.Items {
		path := r.group
		if r.namespaced {
			path += "/namespaces/" + url.PathEscape(item.Namespace)
		}
		add(fmt.Sprintf("%s/%s/%s", path, r.name, url.PathEscape(item.Name)), false, "", asTable, asObject)
	}
	if r.watched {
		add(r.path+"?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1",
			true, "", asTable, asObject)
	}
	return all, nil
}
