"""Settings in; out come the shops to read, each with its own credentials, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tap_common.config import is_blank
from tap_common.errors import ConfigError
from tap_common.http import JsonApi
from tap_shopify.client import ShopifyClient, origin_of_shop
from tap_shopify.pace import Pace
from tap_shopify.tokens import tokens_for

CREDENTIALS = ("access_token", "client_id", "client_secret", "refresh_token")
SHARED = ("client_id", "client_secret", "credentials_file")


def shops_of(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the settings of each shop; what several share may stand once, outside of the list.

    Raises:
        ConfigError: A shop cannot be one, or its credentials contradict each other or are not whole.
    """
    if is_blank(config.get("shops")):
        shops = [
            {key: config[key] for key in ("shop_domain", *CREDENTIALS, "credentials_file") if key in config}
        ]
    elif "shop_domain" in config:
        raise ConfigError("Give shop_domain for one shop or shops for several, not both.")
    else:
        common = {key: config[key] for key in SHARED if key in config}
        shops = [{**common, **shop} for shop in config["shops"]]
    for shop in shops:
        origin_of_shop(shop["shop_domain"])
        _check(shop)
    return shops


def _check(shop: Mapping[str, Any]) -> None:
    given = {key for key in (*CREDENTIALS, "credentials_file") if not is_blank(shop.get(key))}
    place = f"Shop {shop['shop_domain']}: "
    if "refresh_token" in given:
        if missing := {"client_id", "client_secret", "credentials_file"} - given:
            raise ConfigError(
                f"{place}refresh_token needs {' and '.join(sorted(missing))} too. Each refresh replaces the "
                "token, and credentials_file is where the new one is kept."
            )
    elif "access_token" in given:
        if "client_secret" in given:
            raise ConfigError(
                f"{place}give access_token, or client_id and client_secret, not both. A token that expires "
                "comes with a refresh_token; set that as well."
            )
    elif not given >= {"client_id", "client_secret"}:
        raise ConfigError(f"{place}access_token is missing, or client_id and client_secret.")


def connected(shop: Mapping[str, Any], config: Mapping[str, Any]) -> ShopifyClient:
    """Return the connection to a shop."""
    headers = {"Accept": "application/json"}
    api = JsonApi(origin_of_shop(shop["shop_domain"]), headers, tries=int(config["max_tries"]))
    pace = Pace(int(config["page_size"]))
    return ShopifyClient(api, tokens_for(api, shop), config["api_version"], pace)
