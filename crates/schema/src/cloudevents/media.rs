//! The few questions that the formats ask about media types.

/// Type and subtype without parameters, trimmed.
pub(super) fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// JSON by the JSON event format, section 3.1: subtype `json` or suffix `+json`; absent means JSON.
pub(super) fn is_json(media_type: Option<&str>) -> bool {
    let Some(media_type) = media_type else { return true };
    let Some((_, subtype)) = essence(media_type).split_once('/') else { return false };
    let subtype = subtype.to_ascii_lowercase();
    subtype == "json" || subtype.ends_with("+json")
}

/// Content that is UTF-8 text by its media type, as far as that can be told.
pub(super) fn is_text(media_type: &str) -> bool {
    let essence = essence(media_type).to_ascii_lowercase();
    let is_textual = essence.starts_with("text/") || essence.ends_with("/xml") || essence.ends_with("+xml");
    is_textual && charset(media_type).is_none_or(|c| c == "utf-8" || c == "us-ascii")
}

fn charset(media_type: &str) -> Option<String> {
    let parameters = media_type.split(';').skip(1);
    let mut pairs = parameters.filter_map(|p| p.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Some(value.trim().trim_matches('"').to_ascii_lowercase())
}

/// `type/subtype`, each a token of RFC 9110 section 5.6.2.
pub(super) fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    essence(text).split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}
