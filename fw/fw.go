// Package fw is what is delivered to a device in the field: bundles of a model,
// plugins and defaults under one signature. docs/bundle.md has the format.
//
// Nothing of a bundle is used before it is known to come from who signed it: the
// manifest is not even parsed before its signature is checked, and of a payload
// every piece is hashed before it is handed on. Names in a manifest are never
// paths.
package fw
