"""Seeded products with their variants: most have a few, some more than any nested page holds."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.emulators.shopify.money import SHOP_CURRENCY, decimal_text, money_text
from tests.emulators.shopify.refs import Ref, gid, times

Row = dict[str, Any]

MATERIALS = ("Linen", "Merino", "Cotton", "Leather", "Café", "Größe+", "日本の")
THINGS = ("Shirt", "Mug", "Blanket", "Scarf", "Notebook", "Lamp 6″", "Crème brûlée torch")
SIZES = ("XS", "S", "M", "L", "XL", "XXL")
COLOURS = ("red", "blue", "green", "noir", "weiß", "naranja", "grey", "teal", "pink", "gold", "rust", "sky")
TAGS = ("new", "sale", "gift", "été", "outlet")
# The product with this index has 100 variants, the next one 72: more than one nested page.
MANY_VARIANTS = {2: 100, 3: 72}
MONEY_STEP = 5


def product(source: Random, index: int) -> Row:
    """Return the product of an index, with its options, variants and price range."""
    created, updated = times(source, index)
    title = f"{source.choice(MATERIALS)} {source.choice(THINGS)} {index}"
    handle = f"product-{index}"
    number = 8_800_000_000_000 + index * 64
    count = MANY_VARIANTS.get(index, (1, 3, 6, 1, 12)[index % 5])
    cents = source.randrange(300, 40_000, MONEY_STEP)
    parent = {"id": gid("Product", number), "title": title, "createdAt": created, "updatedAt": updated}
    variants = [variant(source, parent, place, count, cents + place * 50) for place in range(count)]
    status = "DRAFT" if index % 10 == 9 else "ARCHIVED" if index % 17 == 0 else "ACTIVE"
    stock = [row["inventoryQuantity"] for row in variants]
    return {
        **parent,
        "handle": handle,
        "status": status,
        "vendor": ("Acme", "Åland Works", "Niño & Co")[index % 3],
        "productType": ("Apparel", "Kitchen", "")[index % 3],
        "publishedAt": created if status == "ACTIVE" else None,
        "description": f"{title}, <made> of good stuff.",
        "descriptionHtml": f"<p>{title}, &lt;made&gt; of <em>good</em> stuff.</p>\n",
        "onlineStoreUrl": f"https://shop.example.com/products/{handle}" if status == "ACTIVE" else None,
        "tags": sorted(source.sample(TAGS, index % 4)),
        "category": CATEGORY if index % 2 else None,
        "seo": {"title": title if index % 4 == 0 else None, "description": None},
        "templateSuffix": "wide" if index % 12 == 0 else None,
        "giftCardTemplateSuffix": None,
        "isGiftCard": index % 15 == 0,
        "hasOnlyDefaultVariant": count == 1,
        "hasOutOfStockVariants": min(stock) <= 0,
        "tracksInventory": True,
        "totalInventory": sum(stock),
        "totalVariants": count,
        "variantsCount": {"count": count, "precision": "EXACT"},
        "priceRangeV2": {
            "minVariantPrice": price(cents),
            "maxVariantPrice": price(cents + (count - 1) * 50),
        },
        "options": options(number, variants),
        "variants": variants,
    }


CATEGORY = {
    "id": "gid://shopify/TaxonomyCategory/aa-1-13-8",
    "name": "T-Shirts",
    "fullName": "Apparel & Accessories > Clothing > Clothing Tops > T-Shirts",
    "level": 4,
    "isLeaf": True,
}


def price(cents: int) -> Row:
    """Return a `MoneyV2` in the shop's currency."""
    return {"amount": decimal_text(cents / 100), "currencyCode": SHOP_CURRENCY}


def variant(source: Random, parent: Row, place: int, count: int, cents: int) -> Row:
    """Return one variant of a product; the only one of a simple product is called as Shopify calls it."""
    number = int(parent["id"].rsplit("/", 1)[-1])
    size, colour = SIZES[place % len(SIZES)], COLOURS[place // len(SIZES) % len(COLOURS)]
    fabric = "" if place < len(SIZES) * len(COLOURS) else " II"
    chosen = [("Title", "Default Title")] if count == 1 else [("Size", size), ("Colour", colour + fabric)]
    title = " / ".join(value for _, value in chosen)
    stock = source.randrange(-2, 120)
    return {
        "id": gid("ProductVariant", 44_000_000_000_000 + number % 10**9 * 200 + place),
        "product": Ref(parent["id"]),
        "title": title,
        "displayName": f"{parent['title']} - {title}",
        "sku": None if place % 7 == 6 else f"SKU-{number % 10**6}-{place:03d}",
        "barcode": f"40{number % 10**7:07d}{place:04d}" if place % 2 else None,
        "position": place + 1,
        "createdAt": parent["createdAt"],
        "updatedAt": parent["updatedAt"],
        "price": money_text(str(cents / 100)),
        "compareAtPrice": money_text(str(cents * 1.25 / 100)) if place % 3 == 0 else None,
        "availableForSale": stock > 0,
        "taxable": True,
        "inventoryPolicy": "CONTINUE" if place % 5 == 4 else "DENY",
        "inventoryQuantity": stock,
        "sellableOnlineQuantity": max(stock, 0),
        "selectedOptions": [{"name": name, "value": value} for name, value in chosen],
        "inventoryItem": inventory_item(number, place, cents, parent),
    }


def inventory_item(number: int, place: int, cents: int, parent: Row) -> Row:
    """Return what the warehouse knows of a variant; cost and weight may be unknown."""
    weight = None if place % 4 == 3 else {"value": 0.25 * (place % 9 + 1), "unit": "KILOGRAMS"}
    item = 46_000_000_000_000 + number % 10**9 * 200 + place
    return {
        "id": gid("InventoryItem", item),
        "tracked": True,
        "requiresShipping": True,
        "sku": None,
        "countryCodeOfOrigin": "PT" if place % 2 == 0 else None,
        "provinceCodeOfOrigin": None,
        "harmonizedSystemCode": "610910" if place % 2 == 0 else None,
        "unitCost": price(cents // 3) if place % 3 else None,
        "measurement": {"id": gid("InventoryItemMeasurement", item), "weight": weight},
        "createdAt": parent["createdAt"],
        "updatedAt": parent["updatedAt"],
    }


def options(number: int, variants: list[Row]) -> list[Row]:
    """Return the options of a product, each with the values that its variants use."""
    used: dict[str, dict[str, None]] = {}
    for row in variants:
        for chosen in row["selectedOptions"]:
            used.setdefault(chosen["name"], {})[chosen["value"]] = None
    return [
        {
            "id": gid("ProductOption", 10_000_000_000_000 + number % 10**9 * 4 + place),
            "name": name,
            "position": place + 1,
            "values": list(values),
            "optionValues": [
                {
                    "id": gid("ProductOptionValue", (number % 10**9 * 4 + place) * 100 + step),
                    "name": value,
                    "hasVariants": True,
                }
                for step, value in enumerate(values)
            ],
        }
        for place, (name, values) in enumerate(used.items())
    ]
