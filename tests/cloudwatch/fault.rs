//! What can go wrong on request: which calls it hits, and what happens to them.

use super::wire::Refusal;
use std::time::Duration;

/// A fault, and the calls that it hits. Made by `Fault::throttle()` and its like.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    operation: Option<String>,
    group: Option<String>,
    left: Option<usize>,
    ratio: Option<(f64, u64)>,
}

/// What happens to a call.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// It is refused and changes nothing.
    Refuse(Refusal),
    /// A batch with this text in a message is refused as a whole.
    Poison(String),
    /// So many events at the front and at the end are refused, the others are taken.
    Reject { too_old: usize, expired: usize, too_new: usize },
    /// The entity is refused for this reason, the events are taken. Hits calls with an entity.
    RejectEntity(String),
    /// It is done, and no answer ever comes.
    StoreThenHang,
    /// It is done, and the connection ends without an answer.
    StoreThenClose,
    /// 200 without body and request id. It is done, or not.
    EmptyOk { is_stored: bool },
    /// A page of some proxy with this status. It is not done.
    Html(u16),
    /// It is done and answered later, or not at all when its client has gone by then. Other
    /// faults hit the call too.
    Delay(Duration),
}

/// When a fault acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// First of all, beside any other fault.
    Delay,
    /// Instead of the call.
    Instead,
    /// While the events are sorted out.
    During,
    /// After the call was done.
    After,
}

/// What a fault may look at.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) operation: &'a str,
    pub(crate) group: &'a str,
    pub(crate) messages: &'a [super::put::InputLogEvent],
    pub(crate) has_entity: bool,
}

impl Fault {
    fn of(kind: Kind) -> Self {
        Self { kind, operation: None, group: None, left: None, ratio: None }
    }

    /// Any error in the format of the service.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::of(Kind::Refuse(Refusal { status, ..Refusal::new(code, message) }))
    }

    /// 400 `ThrottlingException`.
    pub(crate) fn throttle() -> Self {
        Self::of(Kind::Refuse(Refusal::throttled()))
    }

    /// 500 or 503.
    pub(crate) fn server_error(status: u16) -> Self {
        let code = if status == 503 { "ServiceUnavailableException" } else { "InternalFailure" };
        Self::error(status, code, "The service cannot complete the request.")
    }

    /// 400 `AccessDeniedException`.
    pub(crate) fn access_denied() -> Self {
        Self::error(400, "AccessDeniedException", "User is not authorized to perform this action")
    }

    /// 400 `LimitExceededException`.
    pub(crate) fn limit_exceeded() -> Self {
        Self::error(400, "LimitExceededException", "Resource limit exceeded.")
    }

    /// 400 `OperationAbortedException`: somebody else was creating the same thing.
    pub(crate) fn aborted() -> Self {
        let message = "A conflicting operation is currently in progress against this resource.";
        Self::error(400, "OperationAbortedException", message)
    }

    /// A batch with `text` in one of its messages is refused.
    pub(crate) fn poison(text: &str) -> Self {
        Self::of(Kind::Poison(text.to_owned()))
    }

    /// Events at the front (too old, expired) and at the end (too new) are refused.
    pub(crate) fn reject(too_old: usize, expired: usize, too_new: usize) -> Self {
        Self::of(Kind::Reject { too_old, expired, too_new })
    }

    /// The entity is refused for `reason`, such as `InvalidEntity`.
    pub(crate) fn reject_entity(reason: &str) -> Self {
        Self::of(Kind::RejectEntity(reason.to_owned()))
    }

    /// The call is done and never answered.
    pub(crate) fn store_then_hang() -> Self {
        Self::of(Kind::StoreThenHang)
    }

    /// The call is done and the connection closed.
    pub(crate) fn store_then_close() -> Self {
        Self::of(Kind::StoreThenClose)
    }

    /// 200 without a body and without a request id.
    pub(crate) fn empty_ok(is_stored: bool) -> Self {
        Self::of(Kind::EmptyOk { is_stored })
    }

    /// A page of a proxy.
    pub(crate) fn html(status: u16) -> Self {
        Self::of(Kind::Html(status))
    }

    /// The answer comes after `delay`.
    pub(crate) fn delay(delay: Duration) -> Self {
        Self::of(Kind::Delay(delay))
    }

    /// Only calls of this operation.
    pub(crate) fn on(self, operation: &str) -> Self {
        Self { operation: Some(operation.to_owned()), ..self }
    }

    /// Only calls about this group.
    pub(crate) fn in_group(self, group: &str) -> Self {
        Self { group: Some(group.to_owned()), ..self }
    }

    /// Only the first `n` calls that it hits.
    pub(crate) fn times(self, n: usize) -> Self {
        Self { left: Some(n), ..self }
    }

    /// Only this share of the calls, chosen the same way for the same seed.
    pub(crate) fn ratio(self, share: f64, seed: u64) -> Self {
        Self { ratio: Some((share, seed)), ..self }
    }

    fn moment(&self) -> Moment {
        match self.kind {
            Kind::Delay(_) => Moment::Delay,
            Kind::Refuse(_) | Kind::Poison(_) | Kind::Html(_) => Moment::Instead,
            Kind::EmptyOk { is_stored: false } => Moment::Instead,
            Kind::Reject { .. } | Kind::RejectEntity(_) => Moment::During,
            Kind::StoreThenHang | Kind::StoreThenClose | Kind::EmptyOk { is_stored: true } => {
                Moment::After
            }
        }
    }

    fn fits(&self, target: &Target<'_>) -> bool {
        let is_wanted =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let has_cause = match &self.kind {
            Kind::Poison(text) => target.messages.iter().any(|m| m.message().contains(text)),
            Kind::RejectEntity(_) => target.has_entity,
            Kind::Reject { .. } => !target.messages.is_empty(),
            _ => true,
        };
        self.left != Some(0)
            && is_wanted(&self.operation, target.operation)
            && is_wanted(&self.group, target.group)
            && has_cause
    }

    /// Whether it hits a call that fits; counts the call.
    fn strikes(&mut self) -> bool {
        if let Some((share, seed)) = &mut self.ratio
            && next_share(seed) >= *share
        {
            return false;
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        true
    }
}

/// The first of `faults` that hits the call at this moment.
pub(crate) fn strike(faults: &mut [Fault], moment: Moment, target: &Target<'_>) -> Option<Kind> {
    let mut fitting = faults.iter_mut().filter(|f| f.moment() == moment && f.fits(target));
    fitting.find_map(|fault| fault.strikes().then(|| fault.kind.clone()))
}

/// The next number in 0..1 of a sequence (splitmix64).
fn next_share(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}
