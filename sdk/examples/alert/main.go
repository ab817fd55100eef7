// Alert is a plugin of edged that makes an alert of captions in which certain words are, and
// is then quiet for a while. docs/plugins.md has its configuration.
package main

func main() {} // never called
