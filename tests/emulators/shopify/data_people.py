"""Seeded customers and addresses: made-up people with real-world names, nulls, and phones nobody owns."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.emulators.shopify.refs import gid, times

Row = dict[str, Any]

FIRST_NAMES = (
    "Zoë", "Søren", "Łucja", "José", "Aiko", "Ngọc", "Björn", "Chloé", "Fatima",
    "Ümit", "Siân", "Олена", "小明", "Ana",
)  # fmt: skip
LAST_NAMES = (
    "Müller", "O'Neill", "García-López", "Åkesson", "Nguyễn", "Đorđević", "Smith", "Šimůnková",
    "Шевченко", "佐藤",
    "de la Cruz", "Çelik",
)  # fmt: skip
PLACES = (
    ("Berlin", "Berlin", "BE", "Germany", "DE", "10115", "+4930555", 52.53, 13.38),
    ("Malmö", "Skåne", None, "Sweden", "SE", "211 20", "+4640555", 55.6, 13.0),
    ("Québec", "Quebec", "QC", "Canada", "CA", "G1R 2L3", "+1418555", 46.81, -71.21),
    ("Kraków", None, None, "Poland", "PL", "30-001", "+4812555", None, None),
    ("São Paulo", "São Paulo", "SP", "Brazil", "BR", "01000-000", "+5511555", -23.55, -46.63),
    ("東京", "Tōkyō", "JP-13", "Japan", "JP", "100-0001", "+813555", 35.68, 139.76),
)
TAGS = ("vip", "wholesale", "newsletter", "señal, with comma", "returning")


def customer(source: Random, index: int) -> Row:
    """Return the customer of an index: every ninth without a name or e-mail, addresses from none to three."""
    created, updated = times(source, index)
    first, last = source.choice(FIRST_NAMES), source.choice(LAST_NAMES)
    nameless = index % 9 == 0
    addresses = [address(source, index * 10 + place, first, last) for place in range(source.randrange(4))]
    email = None if nameless else f"customer{index}@example.com"
    return {
        "id": gid("Customer", 7_700_000_000_000 + index * 32),
        "createdAt": created,
        "updatedAt": updated,
        "firstName": None if nameless else first,
        "lastName": None if nameless or index % 7 == 0 else last,
        "displayName": f"customer{index}" if nameless else f"{first} {last}",
        "email": email,
        "phone": f"+4930555{index:05d}" if index % 3 == 0 else None,
        "state": ("ENABLED", "DISABLED", "INVITED")[index % 3],
        "locale": ("en", "de", "pt-BR", "ja")[index % 4],
        "note": 'He said "call first";\nthen wrote: ¿sí?' if index % 8 == 0 else None,
        "tags": sorted(source.sample(TAGS, index % 3)),
        "verifiedEmail": index % 4 != 0,
        "validEmailAddress": not nameless,
        "dataSaleOptOut": index % 10 == 0,
        "taxExempt": index % 11 == 0,
        "taxExemptions": ["EU_REVERSE_CHARGE_EXEMPTION_RULE"] if index % 11 == 0 else [],
        "lifetimeDuration": "about 1 year",
        "productSubscriberStatus": "NEVER_SUBSCRIBED",
        "statistics": {"predictedSpendTier": ("HIGH", "MEDIUM", "LOW", None)[index % 4], "rfmGroup": None},
        "defaultEmailAddress": email_address(email, updated, index) if email else None,
        "defaultPhoneNumber": phone_number(updated, index) if index % 3 == 0 else None,
        "addresses": addresses,
        "addressesV2": addresses,
        "defaultAddress": addresses[0] if addresses else None,
    }


def email_address(email: str, updated: str, index: int) -> Row:
    """Return a customer's e-mail address with its marketing consent."""
    subscribed = index % 2 == 0
    return {
        "emailAddress": email,
        "validFormat": True,
        "marketingState": "SUBSCRIBED" if subscribed else "NOT_SUBSCRIBED",
        "marketingOptInLevel": "SINGLE_OPT_IN" if subscribed else None,
        "marketingUpdatedAt": updated if subscribed else None,
        "openTrackingLevel": "UNKNOWN",
    }


def phone_number(updated: str, index: int) -> Row:
    """Return a customer's phone number with its marketing consent."""
    return {
        "phoneNumber": f"+4930555{index:05d}",
        "smsMarketingConsent": {
            "state": "SUBSCRIBED" if index % 2 else "UNSUBSCRIBED",
            "optInLevel": "SINGLE_OPT_IN",
            "updatedAt": updated,
            "collectedFrom": "SHOPIFY",
        },
        "marketingState": "SUBSCRIBED" if index % 2 else "NOT_SUBSCRIBED",
    }


def address(source: Random, number: int, first: str, last: str) -> Row:
    """Return a postal address somewhere in the world; provinces, companies and coordinates may be missing."""
    city, province, province_code, country, code, postcode, phone, latitude, longitude = source.choice(PLACES)
    street = f"{source.randrange(1, 200)} Example Straße"
    return {
        "id": gid("MailingAddress", 9_100_000_000_000 + number),
        "name": f"{first} {last}",
        "firstName": first,
        "lastName": last,
        "company": "Acme & Söhne GmbH" if number % 4 == 0 else None,
        "address1": street,
        "address2": "c/o Nobody" if number % 5 == 0 else None,
        "city": city,
        "zip": postcode,
        "province": province,
        "provinceCode": province_code,
        "country": country,
        "countryCode": code,
        "countryCodeV2": code,
        "phone": f"{phone}{number % 100_000:05d}" if number % 2 else None,
        "latitude": latitude,
        "longitude": longitude,
        "coordinatesValidated": latitude is not None,
        "formatted": [f"{first} {last}", street, f"{postcode} {city}", country],
        "formattedArea": f"{city}, {country}",
    }
