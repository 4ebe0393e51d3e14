# The policy that Writ starts with: clear everything, with three restrictions that are easy to keep and
# costly to forget. Copy the folder, change it, name it in writ.yaml under `policies`.
#
# The input document and the members of `decision` are in docs/reference/policy-input.md.
package writ

import rego.v1

default decision := {"allow": true}

# An address of a suppressed person goes to nobody who is only in marketing.
decision := {"allow": true, "deny_subscribers": data.marketing_subscribers} if {
	not must_wait
	input.data.after.marketing_suppressed == true
}

# Opt-outs must not queue behind other changes, whatever type the operator maps them to.
decision := {"allow": true, "class": "express"} if {
	not must_wait
	not input.data.after.marketing_suppressed
	is_opt_out
}

# A merge that nobody is sure of waits for a person.
decision := {"answer": "hold", "reason": "merge below the confidence that data.json asks for"} if must_wait

must_wait if {
	input.change_type == "identity_merge"
	input.data.after.confidence < data.merge_confidence_min
}

is_opt_out if {
	input.change_type in {"preference", "subscription"}
	input.data.after.status in {"unsubscribed", "opted_out"}
}
