# What may enter the stream, and to whom it may go. `writ check` runs the tests beside this file.
# The input document is described in docs/reference/policy-input.md.
package writ

import rego.v1

default decision := {"answer": "clear"}

# Example: consent changes go before everything else.
# decision := {"answer": "clear", "class": "express"} if input.change_type == "preference"

# Example: an event that must not reach one subscriber.
# decision := {"answer": "clear", "deny_subscribers": ["archive"]} if input.change_type == "payment_method"
