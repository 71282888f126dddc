"""An agent loop with langchain-core: the session is its chat history and its search tool."""

import sys

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import create_retriever_tool

import hsa_memory
from hsa_memory.langchain import HSAChatMessageHistory, HSARetriever


def stand_in(messages: list[BaseMessage]) -> AIMessage:
    """Behave like a chat model with tools; put your own here, `ChatModel(...).bind_tools(...)`."""
    last = messages[-1]
    if isinstance(last, ToolMessage):
        return AIMessage(f"I remember: {last.text}")
    if last.text.endswith("?"):
        call = {"name": "recall", "args": {"query": last.text}, "id": f"call-{len(messages)}"}
        return AIMessage("", tool_calls=[call])
    return AIMessage("I will remember that.")


def main(folder: str = "agent-memory") -> None:
    model = RunnableLambda(stand_in)
    with hsa_memory.open(folder) as memory, memory.session("langchain-agent") as session:
        history = HSAChatMessageHistory(session)
        retriever = HSARetriever(session=session, k=1, role="user")
        recall = create_retriever_tool(retriever, "recall", "Searches everything said before.")

        def turn(text: str) -> str:
            """Run the model until it answers without a tool, then store the turn at once."""
            past, said = history.messages, [HumanMessage(text)]
            while True:
                reply = model.invoke([*past, *said])
                said.append(reply)
                if not reply.tool_calls:
                    history.add_messages(said)
                    return reply.text
                said += [recall.invoke({**call, "type": "tool_call"}) for call in reply.tool_calls]

        for text in (
            "My dog is called Biscuit.",
            "The code of my gym locker is 4817.",
            "What is my dog called?",
        ):
            print(f"user: {text}\nagent: {turn(text)}")
        print(f"{len(history.messages)} messages stored")


if __name__ == "__main__":
    main(*sys.argv[1:])
