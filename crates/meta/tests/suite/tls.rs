//! TLS to a database server: what the URL asks for is checked, and a server that proves nothing is refused.

use muster_meta::{Location, Meta, MetaError, SealingKey};

use super::{Kind, Place, place};

/// The parameters that ask for a server proven by a certificate, and the one that names that.
fn strict(certificate: &str) -> String {
    match crate::KIND {
        Kind::MariaDb => format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={certificate}"),
        _ => format!("?sslmode=verify-full&sslrootcert={certificate}"),
    }
}

async fn open(place: &Place, parameters: &str) -> Result<Meta, MetaError> {
    let url = format!("{}{parameters}", place.url);
    Meta::open(&Location::Server(url.parse().unwrap()), SealingKey::from_bytes([7; 32])).await
}

#[tokio::test]
async fn a_server_must_prove_itself_where_that_is_asked() {
    let Some(place) = place().await else { return };
    if crate::KIND == Kind::Sqlite {
        return;
    }
    let Ok(certificate) = std::env::var("MUSTER_TEST_DATABASE_CERTIFICATE") else {
        println!("skipped: the database servers have no certificate (openssl makes one)");
        return;
    };
    let meta = open(&place, &strict(&certificate)).await.unwrap();
    assert_eq!(meta.count_users().await.unwrap(), 0);
    // Nobody that this machine trusts has signed it.
    let error = match crate::KIND {
        Kind::MariaDb => open(&place, "?ssl-mode=VERIFY_IDENTITY").await.unwrap_err(),
        _ => open(&place, "?sslmode=verify-full").await.unwrap_err(),
    };
    assert!(matches!(error, MetaError::CannotConnect { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}
