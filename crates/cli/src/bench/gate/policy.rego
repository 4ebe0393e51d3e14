# Five rules such as an operator writes, for `writ bench gate`: some match the event that is measured, some do not.
package writ

import rego.v1

default decision := {"answer": "hold", "reason": "a person has to look at it"}

decision := {"allow": true, "class": class, "deny_subscribers": denied, "withhold": withheld} if not must_wait

# 1. A merge that nobody is sure of waits for a person.
must_wait if {
	input.change_type == "identity_merge"
	input.data.after.confidence < data.merge_confidence_min
}

# 2. A withdrawal goes before everything else.
default class := "standard"

class := "express" if {
	input.change_type in {"consent", "preference", "subscription"}
	input.data.after.status in {"withdrawn", "denied", "unsubscribed"}
}

# 3. After a withdrawal of marketing, who is only in marketing gets nothing more.
denied contains name if {
	input.data.after.class == "marketing"
	input.data.after.status == "withdrawn"
	some name in data.marketing_subscribers
}

# 4. Records of some places do not go to subscribers in others.
denied contains name if {
	startswith(input.location, "eu-")
	some name in data.subscribers_outside
}

# 5. Where the proof of a consent is kept is nobody's business outside.
withheld contains "proof" if {
	input.change_type == "consent"
	"proof" in input.changed
}
