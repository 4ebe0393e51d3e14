//! Story 4: a card number never enters the log; a token does.

use std::time::Duration;

use super::shop::ADA;
use super::stage::Stage;
use super::story::{Outcome, Report, watch};
use crate::exit::Failure;

/// A test number that card schemes publish; it passes the Luhn check.
const CARD: &str = "4111 1111 1111 1111";
const TOKEN: &str = "tok_1Pq9vB2eZvKYlo2C";
const LONGEST: Duration = Duration::from_secs(10);

pub(super) async fn tell(stage: &mut Stage, report: &Report) -> Result<Outcome, Failure> {
    let mut story = report.begin(4, "a payment method changes: no card number enters the log");
    stage.shop.set(ADA, "payment_token", CARD)?;
    story.happened("somebody writes a card number into customers.payment_token");
    let withheld = watch(LONGEST, async || {
        let answer = stage.api.get("/v1/withheld").await.ok()?;
        answer["withheld"].as_array()?.iter().find(|one| one["change_type"] == "payment_method").cloned()
    })
    .await;
    let finding = withheld.as_ref().map(|one| &one["reason"]["card_number"]["findings"][0]);
    let text =
        |name: &str| finding.map(|f| f[name].as_str().unwrap_or_default().to_owned()).unwrap_or_default();
    story.claim(
        "the event is quarantined with its place, first six and last four",
        text("first6") == "411111" && text("last4") == "1111",
        format!("{} {}...{}", text("path"), text("first6"), text("last4")),
    );
    stage.shop.set(ADA, "payment_token", TOKEN)?;
    story.happened("the shop stores a token instead");
    let arrived = watch(LONGEST, async || {
        stage.crm.deliveries().into_iter().find(|one| one.after("token") == Some(TOKEN))
    })
    .await;
    if let Some(arrived) = &arrived {
        story.happened_at(arrived.at, "crm has the token");
    }
    story.claim("the token passes", arrived.is_some(), "crm received it");
    let digits: String = CARD.chars().filter(char::is_ascii_digit).collect();
    let received = stage.crm.deliveries().iter().any(|one| one.data.to_string().contains(CARD));
    story.claim("no subscriber received the number", !received, "checked every delivery");
    let found = stage.files_with(&[CARD, &digits])?;
    story.claim(
        "no file of the store holds the number",
        found.is_empty(),
        format!("{} files searched", stage.file_count()?),
    );
    Ok(story.end())
}
