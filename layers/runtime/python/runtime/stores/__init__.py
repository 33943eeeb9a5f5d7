"""Where things are kept. Each store is one protocol, one DynamoDB table and one in-memory twin."""
