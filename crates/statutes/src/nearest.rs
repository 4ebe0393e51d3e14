//! The known word that is nearest to an unknown one.

/// The nearest of the known words, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = known.map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate)).min()?;
    let is_meant = near.0 <= 1 + word.chars().count().max(near.1.chars().count()) / 2;
    is_meant.then_some(near.1)
}

/// Letters to add, drop, change or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (row[j - 1] + cost).min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_nonsense_finds_none() {
        let known = ["gdpr", "drop", "ccpa", "hipaa"];
        assert_eq!(nearest("GDRP", known.into_iter()), Some("gdpr"));
        assert_eq!(nearest("hippa", known.into_iter()), Some("hipaa"));
        assert_eq!(nearest("zzzzzzzzzz", known.into_iter()), None);
    }
}
