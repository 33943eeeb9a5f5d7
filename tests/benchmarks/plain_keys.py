"""Under which keys the usual handler finds its features: apart from it, since it starts when it is imported."""

import json
from typing import Any

__all__ = ["keys_of"]


def keys_of(event: dict[str, Any]) -> list[str]:
    """The keys of the items of a payment's features, one an entity, from what API Gateway passes on."""
    sent = json.loads(event["body"])
    merchant = event["requestContext"]["authorizer"]["merchant_id"]
    card, device = sent["card"]["token"], sent.get("device", {}).get("id", "")
    tokens = {
        "card": card,
        "customer": sent["customer"]["id"],
        "device": device,
        "ip": sent.get("ip", ""),
        "email": sent["customer"].get("email", ""),
        "bin": sent["card"].get("bin", ""),
        "merchant": merchant,
        "card_merchant": f"{card}|{merchant}",
        "device_card": device and f"{device}|{card}",
    }
    return [f"{entity}#{token}" for entity, token in tokens.items() if token]
