# Tests of the default policy; `writ check` runs them.
package writ_test

import rego.v1

import data.writ

email := {"change_type": "email", "operation": "update", "data": {"key": ["17"], "before": null, "after": {"email": "a@example.org"}}}

opt_out := {"change_type": "preference", "operation": "update", "data": {"key": ["17"], "before": null, "after": {"status": "opted_out"}}}

suppressed := {"change_type": "email", "operation": "update", "data": {"key": ["17"], "before": null, "after": {"email": "a@example.org", "marketing_suppressed": true}}}

merge(confidence) := {"change_type": "identity_merge", "operation": "update", "data": {"key": ["17"], "before": null, "after": {"confidence": confidence}}}

test_plain_changes_are_cleared if {
	writ.decision == {"allow": true} with input as email
}

test_deletes_are_cleared if {
	writ.decision == {"allow": true} with input as {"change_type": "email", "operation": "delete", "data": {"key": ["17"], "before": null, "after": null}}
}

test_opt_outs_are_express if {
	writ.decision.class == "express" with input as opt_out
}

test_suppressed_people_reach_no_marketing_subscriber if {
	decided := writ.decision with input as suppressed with data.marketing_subscribers as ["ads"]
	decided.deny_subscribers == ["ads"]
}

test_doubtful_merges_wait if {
	writ.decision.answer == "hold" with input as merge(40)
	writ.decision == {"allow": true} with input as merge(95)
}
