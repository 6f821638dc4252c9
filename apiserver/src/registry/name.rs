//! Names in paths, and names the server makes up.
//! Upstream: k8s.io/apiserver/pkg/storage/names, content.IsPathSegmentName.

use rand::RngExt;

/// Length of the random part. Upstream: names.randomLength.
const RANDOM_LENGTH: usize = 5;
/// A base is cut so that the whole stays within this.
const MAX_NAME_LENGTH: usize = 63;
/// Letters that make no words and are not mistaken for each other. Upstream: utilrand.alphanums.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// How often a name is made up before giving up. Upstream: maxNameGenerationCreateAttempts.
pub const ATTEMPTS: usize = 8;

/// A name that begins with `base`.
pub fn generate(base: &str) -> String {
    let mut end = base.len().min(MAX_NAME_LENGTH - RANDOM_LENGTH);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut random = rand::rng();
    let suffix = (0..RANDOM_LENGTH).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]));
    base[..end].chars().chain(suffix).collect()
}

/// May this stand between slashes? The error is upstream's wording.
pub fn is_path_segment(name: &str) -> Result<(), String> {
    match name {
        "." | ".." => Err(format!("may not be '{name}'")),
        _ => match name.chars().find(|c| matches!(c, '/' | '%')) {
            Some(bad) => Err(format!("may not contain '{bad}'")),
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_keep_their_base_and_fit_a_label() {
        let name = generate("web-");
        assert!(name.starts_with("web-") && name.len() == 9);
        assert_eq!(generate(&"a".repeat(100)).len(), 63);
    }

    #[test]
    fn path_segments_cannot_climb() {
        assert!(is_path_segment("a.b-c:d").is_ok());
        for bad in [".", "..", "a/b", "a%2fb"] {
            assert!(is_path_segment(bad).is_err(), "{bad}");
        }
    }
}
