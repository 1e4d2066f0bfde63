//! Why a URL that somebody gave leads to nothing, in this dialect's words.

use super::{Text, text};
use commands::effects::{fetch::FetchError, outbound::Refused};

/// A URL that may not be called.
pub(super) fn refused(refused: Refused) -> Text {
    let zh = match refused {
        Refused::NotAUrl => "URL 无效",
        Refused::Scheme => "仅支持 http 和 https URL",
        Refused::Credentials => "URL 不能包含用户名或密码",
        Refused::NotPublic => "URL 不是公网地址",
    };
    text(zh, refused.to_string())
}

/// A URL from which nothing came.
pub(super) fn unfetched(error: &FetchError) -> Text {
    let zh = match error {
        FetchError::Refused(why) => return refused(*why),
        FetchError::TooLarge(_) => "文件过大",
        FetchError::TooSlow(_) => "下载超时",
        FetchError::Unreachable(_) => "无法连接服务器",
    };
    text(zh, error.to_string())
}

/// A URL from which something else came.
pub(super) fn answered(status: u16) -> Text {
    text(format!("服务器返回 HTTP {status}"), format!("the server answered HTTP {status}"))
}
