//go:build tools

// Package tools pins what the admission suite builds: a module of its own, so that none of it reaches the program's go.mod.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
