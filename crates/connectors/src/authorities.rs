//! Whose certificates are trusted: the system's authorities, or those of a file that the operator names.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The authorities of a PEM file, else the system's. The error says what is wrong, for the caller to name the key.
pub(crate) fn trusted(file: Option<&Path>) -> Result<RootCertStore, String> {
    let certificates: Vec<CertificateDer<'static>> = match file {
        None => rustls_native_certs::load_native_certs().certs,
        Some(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|_| format!("{} cannot be read as PEM", path.display()))?,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err("there is no usable certificate authority".to_owned());
    }
    Ok(roots)
}
