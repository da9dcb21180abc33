//! Identifiers of rows: random, so that two servers on one database never make the same.

use crate::{MetaError, secret_hash::to_hex};

/// 128 random bits as 32 hexadecimal digits.
pub(crate) fn new_id() -> Result<String, MetaError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| MetaError::NoRandomness(error.to_string()))?;
    Ok(to_hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ_and_have_their_length() {
        let (one, other) = (new_id().unwrap(), new_id().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}
