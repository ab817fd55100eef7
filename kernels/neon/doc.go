// Package neon holds the kernels for arm64.
package neon

//go:generate go run gen/main.go gen/mulp8.go gen/mulp4.go .
