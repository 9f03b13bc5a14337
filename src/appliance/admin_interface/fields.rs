//! The fields of a submitted form, and the token that proves that the form was ours.
//!
//! Cross-site request forgery is refused thrice: cookies are `SameSite=Strict`, the browser's own words about the
//! page's origin are checked, and every form of a logged-in person carries this token.

use std::collections::HashMap;

use axum::{
    Form,
    extract::{FromRequest, Request},
};
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{app::Shared, guard::Visitor, refusal::Refusal};

/// Name of the field that holds the token.
pub(super) const CSRF_FIELD: &str = "csrf";
/// Fields of a form at most: ours have six.
const FIELDS_MAX: usize = 16;

/// The key behind the tokens. Made at the start and kept nowhere: a form from before a restart is refused, politely.
pub(super) struct CsrfKey(Zeroizing<[u8; 32]>);

impl CsrfKey {
    pub(super) fn generate() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).expect("the kernel has random numbers once it has booted this far");
        Self(key)
    }

    /// The token of an account. It belongs to the account and not to one access token, because those are renewed
    /// while a form is being filled in.
    pub(super) fn token(&self, user: &str) -> String {
        HEXLOWER.encode(&self.mac(user).finalize().into_bytes())
    }

    /// Whether `token` is the account's. In constant time.
    pub(super) fn fits(&self, user: &str, token: &str) -> bool {
        let bytes = HEXLOWER.decode(token.as_bytes());
        bytes.is_ok_and(|bytes| self.mac(user).verify_slice(&bytes).is_ok())
    }

    fn mac(&self, user: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(b"lucid.csrf/v1\n");
        mac.update(user.as_bytes());
        mac
    }
}

/// The fields of a form for which one need not be logged in, and so without a token: claim and log-in.
pub(super) struct OpenFields(pub(super) Fields);

/// The fields of a form that is ours.
pub(super) struct Fields(HashMap<String, Zeroizing<String>>);

impl Fields {
    /// A field without the spaces around it; empty where it was not sent.
    pub(super) fn text(&self, name: &str) -> String {
        self.0.get(name).map(|value| value.trim().to_owned()).unwrap_or_default()
    }

    /// A field as it was typed.
    pub(super) fn secret(&mut self, name: &str) -> Zeroizing<String> {
        self.0.remove(name).unwrap_or_default()
    }
}

impl FromRequest<Shared> for OpenFields {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Refusal> {
        let form: Result<Form<Vec<(String, String)>>, _> = Form::from_request(request, app).await;
        let Form(pairs) = form.map_err(|_| Refusal::bad_request("The form can't be read: load the page again."))?;
        if pairs.len() > FIELDS_MAX {
            return Err(Refusal::bad_request("The form has more fields than any of ours."));
        }
        Ok(Self(Fields(pairs.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect())))
    }
}

impl FromRequest<Shared> for Fields {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Refusal> {
        let visitor = Visitor::of(request.extensions());
        let OpenFields(fields) = OpenFields::from_request(request, app).await?;
        match visitor.identity() {
            Some(identity) if app.csrf.fits(&identity.user, &fields.text(CSRF_FIELD)) => Ok(fields),
            _ => Err(Refusal::stale_form()),
        }
    }
}
