"""What a Shopify shop has. A stream is its query, its schema, and a line on what it holds.

The declarations are explained in `stream.py`. Where Shopify has no way to ask for changes alone, the stream
is read in full each time; docs/shopify.md says which ones those are, and why.
"""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType

from tap_shopify.stream import ShopifyStream


class Unsorted(ShopifyStream):
    """What Shopify filters by the time of its last change, but does not sort by it."""

    is_sorted = False
    comes_by_id = True


class Full(ShopifyStream):
    """What Shopify cannot filter by a change: everything is read each time."""

    replication_key = None
    filtered_by = None


class OfOrders(ShopifyStream):
    """What hangs on orders: it is read again with each order that changed."""

    replication_key = "order_updated_at"
    parent_columns = MappingProxyType({"order_id": "id", "order_updated_at": "updated_at"})


class Metafields(ShopifyStream):
    """What merchants and apps wrote on things of one kind: read again with each owner that changed."""

    replication_key = "owner_updated_at"
    rows_at = ("metafields",)
    parent_columns = MappingProxyType({"owner_id": "id", "owner_updated_at": "updated_at"})


# --- orders -------------------------------------------------------------------------------------------------


class Orders(ShopifyStream):
    """Orders with line items, shipping lines, taxes, discounts and addresses; a refund moves `updated_at`."""

    name = "orders"
    count = "ordersCount"
    deleted_as = ("ORDER",)


class OrderTransactions(OfOrders):
    """Payments, authorisations, captures, voids and refunds of orders, with the processor's fees."""

    name = "order_transactions"
    rows_at = ("transactions",)


class OrderRefunds(OfOrders):
    """Refunds of orders: lines that came back, adjustments, shipping, duties."""

    name = "order_refunds"
    rows_at = ("refunds",)


class OrderRisks(OfOrders):
    """Shopify's and apps' assessments of fraud, a row per order."""

    name = "order_risks"
    primary_keys = ("order_id",)
    rows_at = ("risk",)
    deleted_as = ("ORDER",)


class Returns(OfOrders):
    """Returns of orders, from request to close."""

    name = "returns"
    rows_at = ("returns",)


class Fulfillments(OfOrders):
    """Parcels of orders, with lines, tracking numbers and what the carrier told."""

    name = "fulfillments"
    rows_at = ("fulfillments",)


class CustomerJourneys(OfOrders):
    """First and last visit before each order, a row per order."""

    name = "customer_journeys"
    primary_keys = ("order_id",)
    rows_at = ("customer_journey_summary",)
    deleted_as = ("ORDER",)


class FulfillmentOrders(ShopifyStream):
    """What is to be sent from which location, closed ones too."""

    name = "fulfillment_orders"


class DraftOrders(ShopifyStream):
    """Orders that staff or apps prepare for a buyer."""

    name = "draft_orders"
    count = "draftOrdersCount"
    deleted_as = ("DRAFT_ORDER",)


class AbandonedCheckouts(Unsorted):
    """Checkouts that were begun and not finished."""

    name = "abandoned_checkouts"
    count = "abandonedCheckoutsCount"


class SubscriptionContracts(ShopifyStream):
    """Subscriptions that the app behind the token sold."""

    name = "subscription_contracts"


# --- customers ----------------------------------------------------------------------------------------------


class Customers(ShopifyStream):
    """People who bought or signed up, with addresses and consent."""

    name = "customers"
    count = "customersCount"
    deleted_as = ("CUSTOMER",)


class Segments(Full):
    """Groups of customers, by the query that makes them."""

    name = "segments"
    count = "segmentsCount"


class Companies(ShopifyStream):
    """Companies that buy, with their contacts."""

    name = "companies"
    deleted_as = ("COMPANY",)


class CompanyLocations(ShopifyStream):
    """Where companies have goods and bills sent, and how they are taxed."""

    name = "company_locations"
    deleted_as = ("COMPANY_LOCATION",)


# --- products -----------------------------------------------------------------------------------------------


class Products(ShopifyStream):
    """Products with variants, options and media."""

    name = "products"
    count = "productsCount"
    deleted_as = ("PRODUCT",)


class ProductVariants(Unsorted):
    """Variants, a row each, with price, stock and inventory item."""

    name = "product_variants"
    count = "productVariantsCount"
    deleted_as = ("PRODUCT_VARIANT",)


class Collections(ShopifyStream):
    """Collections of products, picked by hand or by rules."""

    name = "collections"
    count = "collectionsCount"
    deleted_as = ("COLLECTION",)


class CollectionProducts(ShopifyStream):
    """Which product is in which collection."""

    name = "collection_products"
    primary_keys = ("collection_id", "product_id")
    replication_key = "collection_updated_at"
    rows_at = ("products",)
    parent_columns = MappingProxyType({"collection_id": "id", "collection_updated_at": "updated_at"})
    moved = MappingProxyType({"product_id": "id", "product_admin_graphql_api_id": "admin_graphql_api_id"})


class SellingPlanGroups(Full):
    """Ways to buy a product again and again, or later."""

    name = "selling_plan_groups"


class Publications(Full):
    """What channels and catalogs offer."""

    name = "publications"
    count = "publicationsCount"


class PriceLists(Full):
    """Price lists of catalogs: their currency, how they change prices, how many prices they fix."""

    name = "price_lists"


class Markets(Full):
    """Where the shop sells, in which currency, under which address."""

    name = "markets"


# --- stock --------------------------------------------------------------------------------------------------


class InventoryItems(Unsorted):
    """What lies in stock: cost, weight, origin."""

    name = "inventory_items"


class InventoryLevels(Unsorted):
    """How much of an item a location has, by the name of the quantity: `available`, `on_hand` and so on.

    A change of stock does not move the item's `updated_at`, so each location is asked for changed levels.
    """

    name = "inventory_levels"
    comes_by_id = False  # locations come by name, and the search is one of their levels
    primary_keys = ("inventory_item_id", "location_id")
    changed_at = "inventory_levels.nodes.updated_at"
    rows_at = ("inventory_levels",)
    moved = MappingProxyType({"inventory_item_id": "item.id", "location_id": "location.id"})


class Locations(Full):
    """Places that hold stock, those out of use too."""

    name = "locations"
    count = "locationsCount"


# --- discounts and gift cards -------------------------------------------------------------------------------


class Discounts(ShopifyStream):
    """Discounts of every kind, with a code or automatic; `kind` is Shopify's name of it."""

    name = "discounts"
    changed_at = "discount.updated_at"
    rows_at = ("discount",)
    parent_columns = MappingProxyType({"id": "id", "admin_graphql_api_id": "admin_graphql_api_id"})
    count = "discountNodesCount"
    deleted_as = ("DISCOUNT_NODE", "DISCOUNT_CODE_NODE", "DISCOUNT_AUTOMATIC_NODE")


class DiscountRedeemCodes(ShopifyStream):
    """Codes of discounts, a row each: a discount may have hundreds of thousands."""

    name = "discount_redeem_codes"
    replication_key = "discount_updated_at"
    changed_at = "discount.updated_at"
    rows_at = ("discount", "codes")
    parent_columns = MappingProxyType({"discount_id": "id", "discount_updated_at": "discount.updated_at"})
    found_by = "discountNode"


class GiftCards(Full):
    """Gift cards and what is left on them, without their codes."""

    name = "gift_cards"
    count = "giftCardsCount"


# --- money --------------------------------------------------------------------------------------------------


class TenderTransactions(Unsorted):
    """Money that moved between shop and buyers, by any way of payment."""

    name = "tender_transactions"
    replication_key = "processed_at"
    filtered_by = "processed_at"


class Payouts(Full):
    """Payouts of Shopify Payments to the bank. All are read: a payout's status changes and no time tells."""

    name = "payouts"


class BalanceTransactions(ShopifyStream):
    """What Shopify Payments added to and took from the balance."""

    name = "balance_transactions"
    replication_key = "processed_at"
    filtered_by = "processed_at"
    settles_within = timedelta(days=30)  # its payout is scheduled, then paid


class Disputes(Full):
    """Chargebacks and inquiries. All are read: a dispute's status changes and no time tells."""

    name = "disputes"


# --- content ------------------------------------------------------------------------------------------------


class Pages(ShopifyStream):
    """Pages of the online store."""

    name = "pages"
    deleted_as = ("PAGE",)


class Blogs(Unsorted):
    """Blogs of the online store."""

    name = "blogs"
    count = "blogsCount"
    deleted_as = ("BLOG",)


class Articles(ShopifyStream):
    """Articles of the blogs."""

    name = "articles"
    deleted_as = ("ARTICLE",)


class Comments(Unsorted):
    """Comments on articles."""

    name = "comments"
    deleted_as = ("COMMENT",)


class Files(ShopifyStream):
    """Images, videos, models and other files; `kind` is Shopify's name of it."""

    name = "files"


class UrlRedirects(Full):
    """Old addresses in the online store and where they lead."""

    name = "url_redirects"
    count = "urlRedirectsCount"


class Metaobjects(Full):
    """Entries that merchants defined the fields of."""

    name = "metaobjects"
    rows_at = ("metaobjects",)
    parent_columns = MappingProxyType({"definition_id": "id", "definition_name": "name"})


# --- metafields ---------------------------------------------------------------------------------------------


class MetafieldsArticles(Metafields):
    """Metafields of articles."""

    name = "metafields_articles"


class MetafieldsBlogs(Metafields):
    """Metafields of blogs."""

    name = "metafields_blogs"
    is_sorted = False
    comes_by_id = True


class MetafieldsCollections(Metafields):
    """Metafields of collections."""

    name = "metafields_collections"


class MetafieldsCompanies(Metafields):
    """Metafields of companies."""

    name = "metafields_companies"


class MetafieldsCompanyLocations(Metafields):
    """Metafields of locations of companies."""

    name = "metafields_company_locations"


class MetafieldsCustomers(Metafields):
    """Metafields of customers."""

    name = "metafields_customers"


class MetafieldsDraftOrders(Metafields):
    """Metafields of draft orders."""

    name = "metafields_draft_orders"


class MetafieldsLocations(Full):
    """Metafields of locations."""

    name = "metafields_locations"
    rows_at = ("metafields",)
    parent_columns = Metafields.parent_columns


class MetafieldsOrders(Metafields):
    """Metafields of orders."""

    name = "metafields_orders"


class MetafieldsPages(Metafields):
    """Metafields of pages."""

    name = "metafields_pages"


class MetafieldsProductVariants(Metafields):
    """Metafields of variants."""

    name = "metafields_product_variants"
    is_sorted = False
    comes_by_id = True


class MetafieldsProducts(Metafields):
    """Metafields of products."""

    name = "metafields_products"


class MetafieldsShop(Full):
    """Metafields of the shop itself."""

    name = "metafields_shop"
    moved = MappingProxyType({"owner_id": "owner.id"})


# --- the shop -----------------------------------------------------------------------------------------------


class Shop(Full):
    """The shop itself: one row."""

    name = "shop"


class Users(Full):
    """Members of the staff. Shopify shows them to apps of shops on the plans Advanced and Plus only."""

    name = "users"


class Events(ShopifyStream):
    """What happened in the shop, as its timeline tells it."""

    name = "events"
    replication_key = "created_at"
    filtered_by = "created_at"
    count = "eventsCount"


class Deletions(ShopifyStream):
    """What was deleted, of any kind that Shopify keeps events of."""

    name = "deletions"
    replication_key = "created_at"
    filtered_by = "created_at"
    count = "eventsCount"
    search = "action:destroy"


STREAMS: tuple[type[ShopifyStream], ...] = tuple(
    item
    for item in list(vars().values())
    if isinstance(item, type) and item.__module__ == __name__ and "name" in vars(item)
)
"""All of them, in the order they stand here."""
