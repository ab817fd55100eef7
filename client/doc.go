// Package client talks to an edged server: over its unix socket ([Dial]) or over
// any connection to a [wire.Serve] loop, such as one of [wire.Memory] inside the
// same process ([New]).
//
//	c, err := client.Dial(ctx, "/run/edged/edged.sock", nil)
//	...
//	defer c.Close()
//	for part, err := range c.Ask(ctx, &wire.Ask{Question: "what left the room?"}) {
//		if err != nil {
//			return err
//		}
//		fmt.Print(part.Text)
//	}
//
// A [Client] is safe for use by many goroutines; requests share its connection and
// do not wait for each other. Breaking out of a loop, or the end of its context,
// cancels the request at the server. Errors of the server are [*wire.Error] with a
// code to branch on; an error that the connection ended with is given to every
// request, those in flight and later ones. A Client does not reconnect: Dial again.
package client
