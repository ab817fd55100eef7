// Package httpcam is cameras that are asked over HTTP: streams of JPEG pictures
// (multipart/x-mixed-replace) and single JPEG pictures, asked for again and again. Which of
// them a URL is, its answer says.
//
// What cameras send is not trusted: headers, pictures and the time between them are
// bounded, and whatever cannot be a picture is counted and passed over. A source ends with
// an error when its camera goes away or sends nothing usable for a while; opening it again
// is the caller's business.
//
// The time of a frame is that of its arrival. Some cameras write the time into a header,
// but by a clock of their own.
package httpcam
